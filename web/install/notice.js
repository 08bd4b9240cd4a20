// Shows why Skyport is not loaded, or what it lacks. Stands alone: without the nodes it is the only script.
const root = import.meta.url.split("/extensions/")[0];
const { app } = await import(`${root}/scripts/app.js`);
const { api } = await import(`${root}/scripts/api.js`);

const locale = () => app.extensionManager?.setting?.get?.("Comfy.Locale") ?? navigator.language;

function show(detail) {
  const toast = app.extensionManager?.toast;
  if (toast) toast.add({ severity: "error", summary: "Skyport", detail });
  else alert(`Skyport: ${detail}`);
}

// Two copies of the pack bring this script twice.
if (!window.skyportInstall) {
  window.skyportInstall = true;
  app.registerExtension({
    name: "Skyport.Install",
    async setup() {
      const answer = await api.fetchApi(`/skyport/install?locale=${encodeURIComponent(locale())}`);
      const { notices = [] } = answer.ok ? await answer.json() : {};
      notices.forEach(show);
    },
  });
}
