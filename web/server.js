// Calls our routes, below /skyport/. POST requests carry the header that the routes require.
import { api } from "../../scripts/api.js";

/** What a GET answers, as JSON. Throws an Error with the server's own words. */
export async function ask(path, query = {}) {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    for (const one of Array.isArray(value) ? value : [value]) if (one) search.append(name, one);
  return answer(await api.fetchApi(`/skyport/${path}${search.size ? `?${search}` : ""}`));
}

/** What a POST of `body` answers, as JSON. Throws an Error with the server's own words. */
export async function act(path, body = {}) {
  const headers = { "Content-Type": "application/json", "X-Skyport": "1" };
  const options = { method: "POST", headers, body: JSON.stringify(body) };
  return answer(await api.fetchApi(`/skyport/${path}`, options));
}

/** The address of one of our routes, for an image or a player. */
export const addressOf = (path) => api.apiURL(`/skyport/${path}`);

/** The address at which ComfyUI shows a file of its folders. */
export const viewOf = (named) => api.apiURL(`/view?${new URLSearchParams(named)}`);

async function answer(response) {
  const told = await response.json().catch(() => null);
  if (response.ok && told) return told;
  throw new Error(told?.message ?? `${response.status} ${response.statusText}`);
}
