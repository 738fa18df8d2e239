"use strict";
const said = document.getElementById("said");
const made = (name, properties = {}) => Object.assign(document.createElement(name), properties);

// Tables sort by a click on a column's head.
document.querySelectorAll("table.sortable").forEach((table) => {
  const heads = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  heads.forEach((head, column) => {
    const name = head.textContent, button = made("button", { type: "button", textContent: name });
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const rows = [...body.rows].sort((a, b) => {
        const x = key(a), y = key(b);
        if (x === "" || y === "") return (x === "") - (y === "");
        const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
        return down ? -order : order;
      });
      body.append(...rows);
      said.textContent = `sorted by ${name}, ${down ? "descending" : "ascending"}`;
    });
  });
});

// Of several things of one kind one is shown, which a list picks.
const picks = new Map();
document.querySelectorAll(".pick").forEach((group, number) => {
  const items = [...group.querySelectorAll(":scope > [data-item]")];
  const list = made("select", { id: `pick-${number}` }), label = made("label", { htmlFor: list.id, textContent: group.dataset.pick });
  items.forEach((item) => list.append(made("option", { value: item.dataset.item, textContent: item.dataset.name })));
  const show = (wanted) => {
    list.value = wanted;
    items.forEach((item) => { item.hidden = item.dataset.item !== wanted; });
  };
  const controls = made("div", { className: "controls" });
  controls.append(label, list);
  group.prepend(controls);
  list.addEventListener("change", () => (group.dataset.pick === "Layer" ? pickLayer(list.value) : show(list.value)));
  picks.set(group.dataset.pick, show);
  show(items[0].dataset.item);
});

// A layer that is picked anywhere is marked everywhere.
function pickLayer(index) {
  picks.get("Layer")?.(index);
  document.querySelectorAll("[data-layer]").forEach((each) => each.classList.toggle("picked", each.dataset.layer === index));
}
function follow() {
  const found = /^#layer-(\d+)$/.exec(location.hash);
  if (found && document.getElementById(`layer-${found[1]}`)) {
    pickLayer(found[1]);
    document.getElementById(`layer-${found[1]}`).scrollIntoView({ block: "nearest" });
  }
}
addEventListener("hashchange", follow);
follow();

// Stepping through time: what is still to come is covered.
document.querySelectorAll(".raster").forEach((raster, number) => {
  const { total, unit, left, right } = raster.dataset, cover = raster.querySelector(".future");
  const times = [...raster.querySelectorAll(".spike")].map((spike) => Number(spike.dataset.time));
  const fine = unit === "windows" ? 20 : 1;
  const slider = made("input", { id: `time-${number}`, type: "range", min: 0, max: total * fine, step: 1, value: total * fine }), told = made("output");
  const label = made("label", { htmlFor: slider.id, textContent: unit === "windows" ? "Time, windows" : "Time step" });
  slider.addEventListener("input", () => {
    const now = slider.value / fine, x = Number(left) + (now / total) * (right - left);
    cover.setAttribute("x", x);
    cover.setAttribute("width", right - x);
    const before = times.filter((time) => time <= now).length, here = times.filter((time) => time <= now && time > now - 1 / fine).length;
    told.textContent = `${now} of ${total}: ${here} spikes now, ${before} of ${times.length} so far`;
  });
  const controls = made("div", { className: "controls" });
  controls.append(label, slider, told);
  raster.querySelector("figcaption").after(controls);
});

// Values at the pointer, and at what has the focus.
const tip = document.body.appendChild(made("div", { id: "tip", hidden: true }));
tip.setAttribute("aria-hidden", "true");
document.querySelectorAll("svg title").forEach((title) => {
  const mark = title.parentElement;
  mark.dataset.tip = title.textContent;
  if (mark.localName === "a") mark.setAttribute("aria-label", title.textContent);
  title.remove();
});
function showTip(target, x, y) {
  const mark = target.closest?.("[data-tip]");
  tip.hidden = !mark;
  if (!mark) return;
  tip.textContent = mark.dataset.tip;
  tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 10 : y + 18}px`;
}
addEventListener("pointermove", (event) => showTip(event.target, event.clientX, event.clientY));
addEventListener("focusin", (event) => {
  const box = event.target.getBoundingClientRect();
  showTip(event.target, box.left, box.bottom);
});
addEventListener("scroll", () => { tip.hidden = true; }, true);
