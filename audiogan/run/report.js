"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);

// Curves: the legend shows the newest values, or the values at the pointer while it is over the plot.
document.querySelectorAll("figure[data-plot]").forEach((figure) => {
  const plot = data.plots[figure.dataset.plot];
  const svg = figure.querySelector("svg"), cursor = figure.querySelector(".cursor");
  const values = [...figure.querySelectorAll("figcaption b")], last = values.map((b) => b.textContent);
  const at = figure.querySelector(".at");
  const show = (value) => Math.abs(value) >= 1e5 || (value && Math.abs(value) < 1e-3)
    ? value.toExponential(2) : String(+value.toPrecision(4));
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect(), [left, right, width] = plot.frame;
    const share = ((event.clientX - box.left) / box.width * width - left) / (right - left);
    const step = plot.range[0] + Math.min(1, Math.max(0, share)) * (plot.range[1] - plot.range[0]);
    let nearest = step, distance = Infinity;
    plot.series.forEach(([steps, means], index) => {
      let best = 0;
      steps.forEach((x, i) => { if (Math.abs(x - step) < Math.abs(steps[best] - step)) best = i; });
      values[index].textContent = show(means[best]);
      if (Math.abs(steps[best] - step) < distance) [nearest, distance] = [steps[best], Math.abs(steps[best] - step)];
    });
    const span = plot.range[1] - plot.range[0] || 1;
    const x = left + (nearest - plot.range[0]) / span * (right - left);
    cursor.setAttribute("x1", x); cursor.setAttribute("x2", x); cursor.style.visibility = "visible";
    at.textContent = "step " + Math.round(nearest).toLocaleString("en");
  });
  svg.addEventListener("pointerleave", () => {
    cursor.style.visibility = "hidden"; at.textContent = "";
    values.forEach((b, index) => { b.textContent = last[index]; });
  });
});

// Previews: the slider selects the step, and the buttons select the sound. Another button plays one sound at all steps.
const previews = data.previews;
if (previews.length) {
  const [slider, label, sheet, player, sounds] = ["step", "step-label", "sheet", "player", "sounds"].map($);
  const all = $("evolve");
  let shown = previews.length - 1, chosen = 0, ticket = 0;
  const stop = () => { ticket += 1; player.pause(); if (all) all.setAttribute("aria-pressed", "false"); };

  const show = (index) => {
    shown = index;
    const preview = previews[index];
    slider.value = index;
    label.textContent = "step " + preview.step.toLocaleString("en");
    if (preview.png) sheet.src = preview.png;
    sheet.hidden = !preview.png;
    if (preview.wav && player.getAttribute("src") !== preview.wav) player.src = preview.wav;
    player.hidden = !preview.wav;
    if (sounds.childElementCount !== preview.titles.length || sounds.dataset.titles !== preview.titles.join("\n")) {
      sounds.dataset.titles = preview.titles.join("\n");
      sounds.replaceChildren(...preview.titles.map((title, number) => {
        const button = document.createElement("button");
        button.type = "button";
        button.textContent = title;
        button.addEventListener("click", () => { stop(); chosen = number; mark(); play(shown, number); });
        return button;
      }));
    }
    mark();
  };
  const mark = () => [...sounds.children].forEach((button, number) =>
    button.setAttribute("aria-pressed", String(number === chosen)));

  // Plays one sound of the joined file. Resolves to true at its end, or to false if it was stopped or replaced.
  const play = async (index, number) => {
    const preview = previews[index], mine = ticket += 1;
    if (!preview.wav || number >= preview.titles.length) return true;
    if (player.readyState < 1) {
      await new Promise((done) => ["loadedmetadata", "error"].forEach((e) => player.addEventListener(e, done, { once: true })));
    }
    if (mine !== ticket) return false;
    const start = number * preview.every, end = start + preview.seconds;
    player.currentTime = start;
    try { await player.play(); } catch { return mine === ticket; }
    return new Promise((done) => {
      const watch = () => {
        if (mine !== ticket) return done(false);
        if (player.ended || player.currentTime >= end) { player.pause(); return done(true); }
        return player.paused ? done(false) : setTimeout(watch, 15);
      };
      watch();
    });
  };

  slider.max = previews.length - 1;
  slider.addEventListener("input", () => { stop(); show(+slider.value); });
  slider.addEventListener("change", () => play(shown, chosen));
  if (all) all.addEventListener("click", async () => {
    if (all.getAttribute("aria-pressed") === "true") { stop(); return; }
    stop();
    all.setAttribute("aria-pressed", "true");
    for (let index = 0; index < previews.length; index += 1) {
      show(index);
      if (!await play(index, chosen)) break;
    }
    all.setAttribute("aria-pressed", "false");
  });
  document.querySelectorAll(".controls").forEach((each) => { each.hidden = false; });
  if (all) all.hidden = previews.length < 2;
  show(shown);
}

// Comparison: a slider uncovers the next column of the last preview, such as source, output and target.
const comparison = data.comparison;
if (comparison.columns) {
  const [wipe, wipeLabel, row, rowLabel, stage] = ["wipe", "wipe-label", "row", "row-label", "stage"].map($);
  const [under, over, line] = stage.children;
  const { sheet, cell, offsets, columns, rows, titles } = comparison;
  stage.style.aspectRatio = cell[0] + " / " + cell[1];
  [under, over].forEach((layer) => { layer.append(new Image()); layer.firstChild.src = comparison.png; });
  // Moves the sheet so that the layer shows one of its images.
  const show = (layer, column) => {
    const [left, top] = rows[row.value - 1], style = layer.firstChild.style;
    style.width = 100 * sheet[0] / cell[0] + "%";
    style.left = -100 * (left + offsets[column]) / cell[0] + "%";
    style.top = -100 * top / cell[1] + "%";
  };
  const draw = () => {
    const first = Math.min(Math.floor(+wipe.value), columns.length - 2), share = wipe.value - first;
    show(under, first);
    show(over, first + 1);
    over.style.clipPath = "inset(0 " + 100 * (1 - share) + "% 0 0)";
    line.style.left = 100 * share + "%";
    line.hidden = share <= 0 || share >= 1;
    const text = share <= 0 ? columns[first] : share >= 1 ? columns[first + 1] : columns[first + 1] + " | " + columns[first];
    wipeLabel.textContent = text;
    wipe.setAttribute("aria-valuetext", text);
    rowLabel.textContent = "example " + row.value + " of " + rows.length + (titles.length ? ": " + titles[row.value - 1] : "");
    row.setAttribute("aria-valuetext", rowLabel.textContent);
  };
  wipe.addEventListener("input", draw);
  row.addEventListener("input", draw);
  draw();
  $("compare").hidden = false;
}
