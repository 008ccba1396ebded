/* Thousands of draws on the simplex, and their density. With more classes than three: where the corners of a polygon draw them. */
"use strict";

const Simplex = (() => {
  const { decimal, table } = Pictures;
  const MARGIN = 26, GRAIN = 4, NEAR = 0.95;
  let grid = null;

  function corners(classes, width) {
    const radius = (width / 2 - MARGIN) / Math.cos(Math.PI / 6), middle = [width / 2, radius + MARGIN - 6];
    const spread = classes === 3 ? radius : width / 2 - MARGIN;
    return Array.from({ length: classes }, (_, k) => {
      const angle = (2 * Math.PI * k) / classes - Math.PI / 2;
      return [middle[0] + spread * Math.cos(angle), middle[1] + spread * Math.sin(angle)];
    });
  }

  const heightOf = (places, width) => Math.max(...places.map((place) => place[1]), width / 4) + MARGIN;

  /** The points of the triangle in which the density is computed: the logarithms of their three shares. */
  function gridOf(width, height, places) {
    if (grid?.width === width) return grid;
    const across = Math.ceil(width / GRAIN), down = Math.ceil(height / GRAIN), inside = [], logs = [];
    const [[ax, ay], [bx, by], [cx, cy]] = places, area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay);
    for (let row = 0; row < down; row++) {
      for (let column = 0; column < across; column++) {
        const x = (column + 0.5) * GRAIN, y = (row + 0.5) * GRAIN;
        const b = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / area, c = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / area;
        if (b <= 0 || c <= 0 || b + c >= 1) continue;
        inside.push(row * across + column);
        logs.push(Float64Array.of(Math.log(1 - b - c), Math.log(b), Math.log(c)));
      }
    }
    const canvas = document.createElement("canvas");
    canvas.width = across;
    canvas.height = down;
    grid = { width, inside, logs, canvas, image: new ImageData(across, down) };
    return grid;
  }

  function drawDensity(context, { logits, tau }, width, height, places) {
    const { inside, logs, canvas, image } = gridOf(width, height, places);
    // From the mean density of the simplex, 2, downwards and upwards: one colour means the same at every temperature.
    const [red, green, blue] = document.documentElement.classList.contains("dark") ? [120, 170, 230] : [30, 90, 160];
    const pixels = image.data;
    for (let i = 0; i < inside.length; i++) {
      const at = 4 * inside[i];
      pixels[at] = red;
      pixels[at + 1] = green;
      pixels[at + 2] = blue;
      pixels[at + 3] = 215 * Math.min(1, Math.max(0, (Density.log(logits, tau, logs[i]) + 2) / 7));
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(canvas, 0, 0, canvas.width * GRAIN, canvas.height * GRAIN);
  }

  function draw(figure, state) {
    const { logits, samples, count } = state, classes = logits.length;
    const canvas = figure.querySelector("canvas"), ratio = devicePixelRatio || 1;
    const width = Math.min(state.width, 480), places = corners(classes, width), height = Math.ceil(heightOf(places, width));
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.width = `${width}px`;
    }
    const style = getComputedStyle(document.documentElement), colour = (name) => style.getPropertyValue(name);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    if (classes === 3 && document.getElementById("show-density").checked) drawDensity(context, state, width, height, places);
    context.strokeStyle = colour("--faint");
    context.beginPath();
    places.forEach(([x, y]) => context.lineTo(x, y));
    context.closePath();
    context.stroke();

    const wins = new Float64Array(classes), near = countNear(samples, classes);
    const byClass = Array.from({ length: classes }, () => []);
    for (let row = 0; row < count; row++) {
      let best = 0, x = 0, y = 0;
      for (let k = 0; k < classes; k++) {
        const share = samples[row * classes + k];
        if (share > samples[row * classes + best]) best = k;
        x += share * places[k][0];
        y += share * places[k][1];
      }
      wins[best] += 1 / count;
      byClass[best].push(x, y);
    }
    if (document.getElementById("show-points").checked) {
      context.globalAlpha = 0.55;
      byClass.forEach((points, k) => {
        context.fillStyle = colour(`--class-${k}`);
        for (let i = 0; i < points.length; i += 2) context.fillRect(points[i] - 1, points[i + 1] - 1, 2, 2);
      });
      context.globalAlpha = 1;
    }
    markDraw(context, state, places, colour);
    context.fillStyle = colour("--ink");
    context.font = "12px system-ui, sans-serif";
    context.textAlign = "center";
    const middle = places.reduce(([x, y], place) => [x + place[0] / classes, y + place[1] / classes], [0, 0]);
    places.forEach(([x, y], k) => {
      const away = Math.hypot(x - middle[0], y - middle[1]) || 1;
      context.fillText(String(k), x + (14 * (x - middle[0])) / away, y + (14 * (y - middle[1])) / away + 4);
    });
    tell(figure, canvas, state, wins, near);
  }

  function countNear(samples, classes) {
    let near = 0;
    for (let at = 0; at < samples.length; at++) if (samples[at] > NEAR) near++;
    return near / (samples.length / classes);
  }

  /** A ring around the draw of the other pictures. */
  function markDraw(context, { samples, logits }, places, colour) {
    let x = 0, y = 0;
    for (let k = 0; k < logits.length; k++) {
      x += samples[k] * places[k][0];
      y += samples[k] * places[k][1];
    }
    context.strokeStyle = colour("--ink");
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x, y, 6, 0, 2 * Math.PI);
    context.stroke();
    context.lineWidth = 1;
  }

  function tell(figure, canvas, { logits, count, tau }, wins, near) {
    const share = `${decimal(100 * near, 1)} %`;
    canvas.setAttribute("aria-label", `${count} relaxed samples at temperature ${Pictures.short(tau)}: ${share} of them are at a corner.`);
    figure.querySelector("figcaption").textContent = `${share} of ${count} points are at a corner: one class has more than 95 %. The ring is `
      + `the draw of the other pictures. ${logits.length > 3 ? "With three classes the picture is the simplex itself, and shows the density." : ""}`;
    const pi = Draws.softmax(logits, 1);
    figure.querySelector(".numbers-below").innerHTML = table("How often each class wins", ["class", "probability", "won"],
      logits.map((_, k) => [k, decimal(pi[k], 3), decimal(wins[k], 3)]));
  }

  return { draw };
})();
