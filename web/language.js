// Tells Skyport which language the editor speaks: the server knows it only once it was chosen by hand.
import { app } from "../../scripts/app.js";
import { act } from "./server.js";
import { follow } from "./words.js";

const locale = () => app.extensionManager?.setting.get("Comfy.Locale");
follow(locale);

app.registerExtension({
  name: "Skyport.Language",
  async setup() {
    await act("language", { locale: locale() });
  },
});
