(() => {
  "use strict";
  const root = document.documentElement;
  root.classList.add("js");

  // Light and dark: the system decides until the button does.
  const theme = document.getElementById("theme");
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (prefersDark.matches ? "dark" : "light")) === "dark";
  const nameTheme = () => { theme.querySelector("span").textContent = isDark() ? "light" : "dark"; };
  theme.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; nameTheme(); });
  prefersDark.addEventListener("change", nameTheme);
  nameTheme();

  // One of several views.
  const choose = (button) => {
    const figure = button.closest("figure");
    const [name, value] = button.dataset.choose.split(":");
    for (const other of figure.querySelectorAll(`[data-choose^="${name}:"]`)) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    for (const part of figure.querySelectorAll(`[data-when^="${name}:"]`)) {
      part.classList.toggle("off", part.dataset.when !== `${name}:${value}`);
    }
  };

  // Each series by itself.
  const toggle = (button) => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    for (const part of button.closest("figure").querySelectorAll(`[data-series="${button.dataset.toggle}"]`)) {
      part.classList.toggle("out", !on);
    }
  };

  // A picture as a file: the colours that the page gives it are written into a copy.
  const STYLES = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-opacity", "stroke-dasharray", "stroke-linecap",
    "stroke-linejoin", "paint-order", "font-family", "font-size", "font-weight", "opacity"];
  const standalone = (svg) => {
    const copy = svg.cloneNode(true);
    const from = [svg, ...svg.querySelectorAll("*")];
    const to = [copy, ...copy.querySelectorAll("*")];
    from.forEach((element, at) => {
      const style = getComputedStyle(element);
      if (style.display === "none" && element.closest("clipPath") === null) { to[at].dataset.gone = ""; return; }
      for (const name of STYLES) to[at].setAttribute(name, style.getPropertyValue(name));
    });
    for (const gone of copy.querySelectorAll("[data-gone]")) gone.remove();
    const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const margin = 24;
    copy.setAttribute("viewBox", `${-margin} ${-margin} ${width + 2 * margin} ${height + 2 * margin}`);
    copy.setAttribute("width", width + 2 * margin);
    copy.setAttribute("height", height + 2 * margin);
    const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const paper = getComputedStyle(svg.closest(".card")).backgroundColor;
    for (const [name, value] of Object.entries({
      x: -margin, y: -margin, width: width + 2 * margin, height: height + 2 * margin, fill: paper,
    })) ground.setAttribute(name, value);
    copy.prepend(ground);
    return { text: new XMLSerializer().serializeToString(copy), width: width + 2 * margin, height: height + 2 * margin };
  };
  const offer = (blob, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  };
  const save = async (button) => {
    const figure = button.closest("figure");
    const svg = [...figure.querySelectorAll("svg")].find((each) => each.getBoundingClientRect().width > 0);
    const { text, width, height } = standalone(svg);
    const name = `metricopt-${figure.id}.${button.dataset.save}`;
    if (button.dataset.save === "svg") { offer(new Blob([text], { type: "image/svg+xml" }), name); return; }
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [2 * width, 2 * height];
    const pen = canvas.getContext("2d");
    pen.scale(2, 2);
    pen.drawImage(image, 0, 0, width, height);
    canvas.toBlob((blob) => offer(blob, name), "image/png");
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.choose) choose(button);
    if (button.dataset.toggle) toggle(button);
    if (button.dataset.save) save(button);
  });

  // What a mark stands for.
  const tip = document.getElementById("tip");
  const hide = () => { tip.hidden = true; };
  const show = (event) => {
    const mark = event.target.closest ? event.target.closest("[data-tip]") : null;
    if (!mark) { hide(); return; }
    const lead = mark.closest("[data-lead]");
    tip.textContent = (lead ? lead.dataset.lead : "") + mark.dataset.tip;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const left = Math.min(Math.max(event.clientX - width / 2, 8), root.clientWidth - width - 8);
    const above = event.clientY - height - 14;
    tip.style.left = `${left}px`;
    tip.style.top = `${above > 8 ? above : event.clientY + 18}px`;
  };
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("scroll", hide, { passive: true });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
})();
