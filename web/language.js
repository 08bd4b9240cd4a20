// Tells Skyport which language the editor speaks: the server knows it only once it was chosen by hand.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";

app.registerExtension({
  name: "Skyport.Language",
  async setup() {
    const locale = app.extensionManager.setting.get("Comfy.Locale");
    await api.fetchApi("/skyport/language", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Skyport": "1" },
      body: JSON.stringify({ locale }),
    });
  },
});
