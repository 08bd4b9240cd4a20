// Tells the server whether somebody looks at this page, and shows its notices while nobody does; lets the page look again once somebody is back.
import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { act } from "./server.js";
import { canShow, onPermission } from "./settings/permission.js";
import { load } from "./settings/setup.js";

let reported = "";

const isVisible = () => document.visibilityState === "visible";

/** Only what the server does not know yet, unless it has forgotten all. */
function report(anew = false) {
  const page = { client: api.clientId, visible: isVisible(), can_show: canShow() };
  const text = JSON.stringify(page);
  if (!page.client || (text === reported && !anew)) return;
  reported = text;
  act("presence", page).catch(() => (reported = ""));
}

/** Another page or a command may have changed a key or a setting meanwhile. */
async function lookAgain() {
  await load().catch(() => null);
  document.dispatchEvent(new Event("skyport.setup"));
}

function show({ detail: { title, body } }) {
  if (isVisible() || !canShow()) return; // somebody has come back meanwhile
  const shown = new Notification(title, { body, tag: `skyport ${title} ${body}` });
  shown.onclick = () => {
    window.focus();
    shown.close();
  };
}

api.addEventListener("skyport.notice", show); // may come before the editor is set up

app.registerExtension({
  name: "Skyport.Presence",
  setup() {
    api.addEventListener("status", () => report()); // its first one names this page
    api.addEventListener("reconnected", () => report(true));
    document.addEventListener("visibilitychange", () => report());
    onPermission(() => report());
    window.addEventListener("focus", lookAgain);
    report();
  },
});
