// The browser's permission to show notices: asked for by a click, and offered once in the list of jobs.
import { button, el } from "../jobs/elements.js";
import { say } from "../words.js";

const ANSWERED = "Skyport.NoticesOffered";
const CHANGED = "skyport.permission";

/** "granted", "denied", "default", or "none" where the browser shows no notices. */
const permission = () => (window.isSecureContext && window.Notification?.permission) || "none";

export const canShow = () => permission() === "granted";

/** Call `run` after each answer of the person. */
export const onPermission = (run) => document.addEventListener(CHANGED, run);

async function request() {
  await Notification.requestPermission();
  document.dispatchEvent(new Event(CHANGED));
}

/** A row of the settings: what is allowed, and the button that asks. */
export function permissionRow() {
  const words = el("span.hint", { role: "status" });
  const allow = button(say("Allow notices of the browser"), "bell", request);
  const draw = () => {
    words.textContent = permissionWords(permission());
    allow.hidden = permission() !== "default";
  };
  onPermission(draw);
  draw();
  return el("div.line", { "data-permission": "" }, allow, words);
}

function permissionWords(state) {
  if (state === "granted") return say("The browser shows notices while this page is open and hidden.");
  if (state === "denied") return say("The browser is set to show no notices of this page; its own settings change that.");
  if (state === "none") return say("The browser shows notices only of pages on this machine or by https.");
  return say("Shown while this page is open and hidden.");
}

/** The offer in the list of jobs; nothing once it was answered. */
export function permissionOffer() {
  const element = el("div.offer", { role: "group", hidden: permission() !== "default" || Boolean(localStorage.getItem(ANSWERED)) });
  const answered = () => {
    localStorage.setItem(ANSWERED, "1");
    element.hidden = true;
  };
  const allow = button(say("Allow notices of the browser"), "bell", () => {
    answered();
    void request();
  });
  element.append(el("span", {}, say("Be notified when a long task ends while you look elsewhere?")), allow, button(say("Not now"), "times", answered));
  return element;
}
