// Sends Skyport the editor's language: the server knows it only after the user has chosen one.
import { app } from "../../scripts/app.js";
import { reloadForms } from "./models.js";
import { act } from "./server.js";
import { follow } from "./words.js";

const locale = () => app.extensionManager?.setting.get("Comfy.Locale");
follow(locale);

app.registerExtension({
  name: "Skyport.Language",
  async setup() {
    const { changed } = await act("language", { locale: locale() });
    if (changed) await reloadForms(); // their tooltips are texts of the server
  },
});
