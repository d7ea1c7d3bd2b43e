// The project library as the panels choose from it.
import { app } from "./app.js";
import { get } from "./client.js";
import { choice, field } from "./parts.js";
import { t } from "./i18n.js";
import { set, state } from "./state.js";

export async function projects(fresh = false) {
  if (fresh || !app.projects) app.projects = (await get("/projects")).projects;
  return app.projects;
}

export const projectName = (key) => app.projects?.find((one) => one.id === key)?.name ?? key;

export async function projectField(onchange = () => {}) {
  const all = await projects();
  if (!all.some((one) => one.id === state.project)) set({ project: all[0]?.id ?? "" });
  return field(t("word.project"), choice(all.map((one) => [one.id, `${one.name ?? one.id}`]), state.project, (project) => { set({ project }); onchange(project); }, { id: "project-choice" }));
}
