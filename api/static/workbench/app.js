// What every panel shares: the map, the county's set-up, who sits here.

export const app = { map: null, other: null, setup: null, user: null, panel: null, projects: null, relief: { name: "", told: null } };

export const may = (...roles) => roles.includes(app.user?.role);
export const CHECKS = ["consumer", "planner", "reviewer"];
export const zoneName = (key) => app.setup.zones.find((one) => [one.id, one.unit_code, one.name].includes(key))?.name ?? key ?? "";
