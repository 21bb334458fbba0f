// The list of a report: searched, filtered, sorted and shown a page at a time. It makes text of the data, never markup,
// and works in slices of a few milliseconds, so that typing is never waited for.
"use strict";
(() => {
  const PAGE = 100;
  const AT_ONCE = 25;
  const SLICE_MS = 8;
  const CHOICES = 400;

  const data = JSON.parse(document.getElementById("data").textContent);
  const { items, sections, orders, targets, results } = data;
  const DEACTIVATIONS = sections.findIndex(({ code }) => code === "deactivated");
  const text = (number) => data.texts[number ?? 0];

  // -- elements ---------------------------------------------------------------------------------

  /** Make an element; strings among its content become text. */
  function el(tag, attributes = {}, ...content) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") made.addEventListener(name, value);
      else if (value !== undefined && value !== null && value !== "") made.setAttribute(name, value);
    }
    made.append(...content.flat(Infinity).filter((part) => part || part === 0));
    return made;
  }

  const number = (count) => count.toLocaleString("en");

  /** Let the browser draw and take input before going on. */
  const channel = new MessageChannel();
  const waiting = [];
  channel.port1.onmessage = () => waiting.shift()();
  const breathe = () => new Promise((resolve) => { waiting.push(resolve); channel.port2.postMessage(0); });

  // -- what is shown ----------------------------------------------------------------------------

  const shown = { words: [], sections: new Set(), department: "", group: "", target: "", order: "gravity" };
  let found = orders.gravity;
  let page = 0;
  let search = 0;

  const folded = (value) => value.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const haystacks = new Array(items.length);

  /** Everything that is said of an item, as one text to search in. */
  function haystack(index) {
    if (haystacks[index] !== undefined) return haystacks[index];
    const item = items[index];
    const parts = [
      item.name, item.key, text(item.words), text(item.reason), text(item.department), item.state, item.said,
      item.result, item.status, item.resource, text(item.means), text(item.cluster), item.anchor,
      sections[item.section].title, targets.length > 1 ? targets[item.target] : "",
      ...(item.groups ?? []).map(text), ...(item.notes ?? []).map(text),
    ];
    for (const [, names] of item.people ?? []) parts.push(...names);
    for (const [label, before, after] of item.rows ?? []) parts.push(text(label), before.join(""), after.join(""));
    return (haystacks[index] = folded(parts.filter(Boolean).join("\n")));
  }

  function matches(index) {
    const item = items[index];
    if (shown.sections.size && !shown.sections.has(item.section)) return false;
    if (shown.department && text(item.department) !== shown.department) return false;
    if (shown.target && targets[item.target] !== shown.target) return false;
    if (shown.group && !(item.groups ?? []).some((group) => text(group) === shown.group)) return false;
    return shown.words.every((word) => haystack(index).includes(word));
  }

  /** Find anew what is to be shown; a newer search ends an older one. Returns whether this one came to its end. */
  async function find() {
    const mine = ++search;
    const order = orders[shown.order];
    const next = [];
    let until = performance.now() + SLICE_MS;
    for (let at = 0; at < order.length; at++) {
      if (matches(order[at])) next.push(order[at]);
      if ((at & 31) === 31 && performance.now() > until) {
        await breathe();
        if (mine !== search) return false;
        until = performance.now() + SLICE_MS;
      }
    }
    found = next;
    page = 0;
    clear.disabled = !filtered();
    return draw();
  }

  // -- one item ---------------------------------------------------------------------------------

  function marked(parts, tag) {
    if (!parts.length) return el("span", { class: "nothing" }, "nothing");
    const pieces = parts.map((part, index) => (part ? (index % 2 ? el(tag, {}, part) : part) : ""));
    return parts.join("") ? pieces : el("span", { class: "nothing" }, "empty");
  }

  /** Two differences at most, for the line that is always there. */
  function gist(item) {
    const rows = (item.rows ?? []).filter(([, before]) => before.length);
    const isOff = item.section === DEACTIVATIONS || (rows.length === 1 && text(rows[0][0]) === "active");
    if (!rows.length || isOff || item.people) return "";
    const told = rows.slice(0, 2).map(([label, before, after], index) => [
      index ? ", " : "", el("i", {}, `${text(label)} `), marked(before, "del"), " → ", marked(after, "ins"),
    ]);
    const more = rows.length > 2 ? `, and ${rows.length - 2} more` : "";
    return el("span", { class: "gist" }, told, el("i", {}, more));
  }

  /** The differences as a table; of what is new, or goes, one column is enough. */
  function rowsTable(rows, columns) {
    const sides = [0, 1].filter((side) => rows.some((parts) => parts[side + 1].length));
    const titles = ["attribute", ...sides.map((side) => columns[side])];
    return el("table", {},
      el("thead", {}, el("tr", {}, titles.map((title) => el("th", { scope: "col" }, title)))),
      el("tbody", {}, rows.map(([label, ...parts]) => el("tr", {},
        el("th", { scope: "row" }, text(label)),
        sides.map((side) => el("td", { class: side ? "after" : "before" }, marked(parts[side], side ? "ins" : "del")))))));
  }

  function people(verb, names, more) {
    const others = more ? [el("span", {}, `and ${number(more)} more`)] : [];
    const list = el("span", { class: "people" }, names.map((name) => el("bdi", {}, name)), others);
    return el("div", {}, el("strong", {}, `${verb}: `), list);
  }

  function body(item) {
    const facts = [
      text(item.department) && `department ${text(item.department)}`,
      item.groups && item.kind === "user" && `groups ${item.groups.map(text).join(", ")}`,
      item.state && `then ${item.state}`,
      item.resource && `id at the target ${item.resource}`,
    ].filter(Boolean);
    const table = item.rows && rowsTable(item.rows, item.columns ?? ["before", "after"]);
    return el("div", { class: "body" },
      item.said && el("p", {}, el("strong", {}, item.said)),
      el("p", { class: "means" }, [text(item.reason), text(item.means)].filter(Boolean).join(": ")),
      item.first && el("p", { class: "first" }, "first: ", el("code", {}, item.first)),
      table,
      (item.people ?? []).map((part) => people(...part)),
      item.command && el("p", {}, el("code", {}, item.command)),
      facts.length ? el("p", { class: "facts" }, facts.join("; ")) : "",
      el("p", { class: "link" }, el("a", { href: `#${item.anchor}` }, "Link to this one")));
  }

  function row(index, open) {
    const item = items[index];
    const result = item.result && el("span", { class: `result ${item.result}` },
      [results[item.result], item.status].filter(Boolean).join(" "));
    const failed = item.result && item.result !== "applied";
    const summary = el("summary", {},
      el("span", { class: "sign", "aria-hidden": "true" }, item.sign),
      el("span", { class: "words" }, text(item.words)),
      el("span", { class: "rest" },
        item.name && el("span", { class: "name" }, item.name),
        item.key && item.key !== item.name && el("span", { class: "key" }, item.key),
        targets.length > 1 && el("span", { class: "where" }, `at ${targets[item.target]}`),
        text(item.department) && el("span", { class: "department" }, text(item.department)),
        result,
        (item.notes ?? []).map((note) => el("span", { class: "note" }, text(note))),
        failed && item.said ? el("span", { class: "gist" }, item.said) : gist(item),
        text(item.reason) && el("span", { class: "reason" }, text(item.reason))));
    const details = el("details", { class: `item ${item.meaning ?? ""}`, id: item.anchor }, summary);
    const fill = () => { if (details.open && details.childElementCount === 1) details.append(body(item)); };
    details.addEventListener("toggle", fill);
    if (open) { details.open = true; fill(); }
    return details;
  }

  // -- the list ---------------------------------------------------------------------------------

  const list = el("div", { id: "list" });
  const status = el("span", { class: "shown", role: "status", "aria-live": "polite" });
  const pager = el("nav", { class: "pager", "aria-label": "Pages" });
  const sizes = new Map();
  for (const item of items) sizes.set(item.section, (sizes.get(item.section) ?? 0) + 1);

  /** Return a function that lays out items after those before, with a heading where a section begins, and what a
   * cluster of them has in common. */
  function layer() {
    let part = null, section = -1, cluster = 0;
    const begin = (tag, ...content) => { part = el(tag, { class: "part" }, content); list.append(part); };
    return (indices, open) => {
      for (const index of indices) {
        const item = items[index];
        if (shown.order === "gravity" && item.section !== section) {
          section = item.section;
          cluster = 0;
          const { title, why, meaning } = sections[section];
          const size = el("span", { class: "count" }, number(sizes.get(section)));
          begin("section", el("h3", { class: meaning }, `${title} `, size), el("p", { class: "why" }, why));
        } else if (part === null) begin("div");
        if (shown.order === "gravity" && (item.cluster ?? 0) !== cluster) {
          cluster = item.cluster ?? 0;
          if (cluster) part.append(el("p", { class: "cluster" }, text(cluster)));
        }
        part.append(row(index, open));
      }
    };
  }

  let drawing = 0;

  /** Draw the page; a newer drawing ends an older one. Returns whether this one came to its end. */
  async function draw() {
    const mine = ++drawing;
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    page = Math.min(page, pages - 1);
    const here = found.slice(page * PAGE, (page + 1) * PAGE);
    const all = found.length === items.length;
    status.textContent = all ? `${number(items.length)} in all` : `${number(found.length)} of ${number(items.length)}`;
    drawPager(pages);
    const nothing = items.length ? "Nothing matches." : "There is nothing to do, and nothing to decide.";
    list.replaceChildren(...(here.length ? [] : [el("p", { class: "empty" }, nothing)]));
    const lay = layer();
    for (let at = 0; at < here.length; at += AT_ONCE) {
      if (at) await breathe();
      if (mine !== drawing) return false;
      lay(here.slice(at, at + AT_ONCE), here.length === 1);
    }
    return true;
  }

  function drawPager(pages) {
    const go = (to, label, possible) => {
      const button = el("button", { type: "button", click: () => turn(to) }, label);
      button.disabled = !possible;
      return button;
    };
    pager.hidden = pages === 1;
    pager.replaceChildren(
      go(0, "First", page > 0), go(page - 1, "Previous", page > 0),
      el("span", {}, `Page ${number(page + 1)} of ${number(pages)}`),
      go(page + 1, "Next", page < pages - 1), go(pages - 1, "Last", page < pages - 1));
  }

  async function turn(to) {
    page = to;
    if (!(await draw())) return;
    list.scrollIntoView();
    list.querySelector("summary")?.focus({ preventScroll: true });
  }

  // -- the controls -----------------------------------------------------------------------------

  function choice(name, label, values, change) {
    const select = el("select", { id: name, change: () => { change(select.value); narrow(); } },
      values.map(([value, words, off]) => {
        const option = el("option", { value }, words);
        option.disabled = Boolean(off);
        if (value === "") option.setAttribute("value", ""); // `el` leaves out what is empty
        return option;
      }));
    return el("span", { class: "choice" }, el("label", { for: name }, label), select);
  }

  /** The values that items have, by name, with how many have them; of very many the most frequent. */
  function values(of) {
    const counts = new Map();
    for (const item of items) for (const value of of(item)) counts.set(value, (counts.get(value) ?? 0) + 1);
    const sorted = [...counts].sort((a, b) => b[1] - a[1]);
    const left = sorted.length - CHOICES;
    const named = sorted.slice(0, CHOICES).sort((a, b) => (a[0] < b[0] ? -1 : 1));
    const options = named.map(([value, count]) => [value, `${value} (${number(count)})`]);
    return [["", "all"], ...options, ...(left > 0 ? [["-", `and ${number(left)} more: search for them`, true]] : [])];
  }

  const field = el("input", { type: "search", id: "search", placeholder: "Search names, keys, values, reasons",
    "aria-label": "Search all changes", autocomplete: "off", spellcheck: "false" });
  field.addEventListener("input", () => {
    shown.words = folded(field.value).split(/\s+/).filter(Boolean);
    narrow();
  });

  const chips = el("div", { class: "chips", role: "group", "aria-label": "Only these classes" },
    sections.map(({ code, title, meaning, unusual }, index) => {
      if (!sizes.has(index)) return "";
      const chip = el("button", { type: "button", class: unusual ? `${meaning} unusual` : meaning, "aria-pressed": "false", "data-code": code }, title, el("b", {}, number(sizes.get(index))));
      chip.addEventListener("click", () => {
        const pressed = !shown.sections.has(index);
        if (pressed) shown.sections.add(index);
        else shown.sections.delete(index);
        chip.setAttribute("aria-pressed", String(pressed));
        narrow();
      });
      return chip;
    }));

  const departments = values((item) => (item.department ? [text(item.department)] : []));
  const groups = values((item) => (item.groups ?? []).map(text));
  const selects = [
    targets.length > 1 && choice("target", "Target", [["", "all"], ...targets.map((name) => [name, name])], (value) => { shown.target = value; }),
    departments.length > 1 && choice("department", "Department", departments, (value) => { shown.department = value; }),
    groups.length > 1 && choice("group", "Group", groups, (value) => { shown.group = value; }),
    choice("order", "Sort by", [["gravity", "unusual first"], ["execution", "order of execution"], ["name", "name"],
      ["department", "department"]], (value) => { shown.order = value; }),
  ];

  const filtered = () => shown.words.length || shown.sections.size || shown.department || shown.group || shown.target;

  function reset() {
    Object.assign(shown, { words: [], department: "", group: "", target: "" });
    shown.sections.clear();
    field.value = "";
    for (const chip of chips.children) chip.setAttribute("aria-pressed", "false");
    for (const select of controls.querySelectorAll("select:not(#order)")) select.value = "";
  }

  const clear = el("button", { type: "button", click: () => { reset(); narrow(); field.focus(); } }, "Show all");
  clear.disabled = true;
  const controls = el("form", { class: "controls", role: "search", "aria-label": "Changes", submit: (event) => event.preventDefault() },
    el("div", { class: "line" }, field, selects, clear, status));

  // -- links to what is shown -------------------------------------------------------------------

  const CHOSEN = ["department", "group", "target", "order"];
  const ADDRESS_MS = 250;
  let noted = 0;

  /** Find anew, and keep in the page's address how it was narrowed down: a link to it shows the same. */
  function narrow() {
    clearTimeout(noted);
    const before = location.hash;
    noted = setTimeout(() => {
      if (location.hash !== before) return; // a link was followed meanwhile
      const told = new URLSearchParams();
      if (shown.words.length) told.set("search", field.value.trim());
      if (shown.sections.size) told.set("class", [...shown.sections].sort((a, b) => a - b).map((index) => sections[index].code).join(" "));
      for (const name of CHOSEN) if (shown[name] && shown[name] !== "gravity") told.set(name, shown[name]);
      history.replaceState(null, "", `${location.href.split("#")[0]}${told.size ? "#" : ""}${told}`);
    }, ADDRESS_MS);
    return find();
  }

  /** Narrow it down as the address says; what this report doesn't have is left out. */
  function restore() {
    const told = new URLSearchParams(location.hash.slice(1));
    reset();
    field.value = told.get("search") ?? "";
    shown.words = folded(field.value).split(/\s+/).filter(Boolean);
    for (const code of (told.get("class") ?? "").split(" ")) {
      const index = sections.findIndex((section) => section.code === code);
      if (!sizes.has(index)) continue;
      shown.sections.add(index);
      chips.querySelector(`[data-code="${code}"]`).setAttribute("aria-pressed", "true");
    }
    for (const name of CHOSEN) {
      const select = controls.querySelector(`#${name}`);
      const value = told.get(name) ?? (name === "order" ? "gravity" : "");
      if (!select || ![...select.options].some((option) => option.value === value && !option.disabled)) continue;
      select.value = value;
      shown[name] = value;
    }
    return find();
  }

  function follow() {
    const wanted = location.hash.slice(1);
    if (/^(search|class|department|group|target|order)=/.test(wanted)) restore();
    else seek();
  }

  // -- links to one item ------------------------------------------------------------------------

  /** Show, open and mark the item that the address names; the beginning of its id is enough. */
  async function seek() {
    const wanted = location.hash.slice(1);
    if (!list.childElementCount) await draw();
    if (!wanted.startsWith("change-") || wanted.length < "change-".length + 6) return;
    let index = items.findIndex((item) => item.anchor === wanted);
    if (index < 0) index = items.findIndex((item) => item.anchor.startsWith(wanted));
    if (index < 0) {
      status.textContent = "The link names a change that is not in this report.";
      return;
    }
    if (filtered() && !found.includes(index)) {
      reset();
      if (!(await find())) return;
    }
    page = Math.floor(found.indexOf(index) / PAGE);
    if (!(await draw())) return;
    const details = document.getElementById(items[index].anchor);
    for (const other of list.querySelectorAll(".sought")) other.classList.remove("sought");
    details.classList.add("sought");
    details.open = true;
    details.querySelector("summary").focus({ preventScroll: true });
    details.scrollIntoView({ block: "center" });
  }

  // On paper stands everything that the filter lets through, opened.
  addEventListener("beforeprint", () => {
    drawing++;
    list.replaceChildren();
    layer()(found, true);
  });
  addEventListener("afterprint", draw);
  addEventListener("hashchange", follow);

  document.getElementById("static").replaceWith(...(items.length ? [chips, controls] : []), list, pager);
  if (location.hash) follow();
  else draw();
})();
