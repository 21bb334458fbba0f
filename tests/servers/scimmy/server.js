/**
 * A SCIM server made of npm's scimmy and scimmy-routers: all of the protocol is theirs, only the storage is ours.
 *
 * `node server.js TOKEN` listens on a free port of loopback and says its address in the first line of its output.
 * What it has is in memory, and gone with it.
 */
import {randomUUID} from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

const [token] = process.argv.slice(2);

/** Keep resources of one kind; `unique` names the attribute of which no two may have the same value, in any case. */
function store(Resource, unique) {
  const kept = new Map();
  const found = (id) => kept.get(id) ?? fail(404, null, `Resource ${id} not found`);
  return SCIMMY.Resources.declare(Resource)
    .ingress((resource, data) => {
      const before = resource.id ? found(resource.id) : undefined;
      const {id = randomUUID(), meta = {created: new Date().toISOString()}} = before ?? {};
      const value = data[unique].toLowerCase();
      const taken = [...kept.values()].some((other) => other.id !== id && other[unique].toLowerCase() === value);
      if (taken) fail(409, "uniqueness", `${unique} is taken`);
      const after = {...JSON.parse(JSON.stringify(data)), id, meta: {...meta, lastModified: new Date().toISOString()}};
      kept.set(id, after);
      return after;
    })
    .egress((resource) => {
      if (resource.id) return found(resource.id);
      const all = [...kept.values()];
      return resource.filter ? resource.filter.match(all) : all;
    })
    .degress((resource) => void (found(resource.id) && kept.delete(resource.id)));
}

function fail(status, scimType, detail) {
  throw new SCIMMY.Types.Error(status, scimType, detail);
}

store(SCIMMY.Resources.User, "userName").extend(SCIMMY.Schemas.EnterpriseUser);
store(SCIMMY.Resources.Group, "displayName");

const scim = new SCIMMYRouters({
  type: "bearer",
  handler: (request) => {
    if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("Token not accepted");
  },
});
const server = express().use("/scim/v2", scim).listen(0, "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(`http://127.0.0.1:${server.address().port}/scim/v2`);
});
