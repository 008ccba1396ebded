/* What the pictures share: numbers as text, colours of classes, tables that say the same to those who cannot see. */
"use strict";

const Pictures = (() => {
  /** A number with two decimals, and a true minus sign. */
  const decimal = (value, digits = 2) => value.toFixed(digits).replace("-", "−").replace(/^−(0\.?0*)$/, "$1");
  /** Three significant digits: as a temperature is shown, written into Python, and used. */
  const short = (value) => String(Number(value.toPrecision(3)));
  const colour = (k) => `var(--class-${k})`;

  /** An SVG picture: what it shows in words, its size in its own units, and its marks. */
  function svg(words, width, height, marks) {
    return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${words}">${marks}</svg>`;
  }

  /** The numbers of a picture as a table that can be folded out. */
  function table(title, heads, rows) {
    const cells = (row) => row.map((cell, i) => (i ? `<td>${cell}</td>` : `<th scope="row">${cell}</th>`)).join("");
    return `<div class="scroll"><table class="numbers"><caption class="unseen">${title}</caption><thead><tr>`
      + heads.map((head) => `<th scope="col">${head}</th>`).join("")
      + `</tr></thead><tbody>${rows.map((row) => `<tr>${cells(row)}</tr>`).join("")}</tbody></table></div>`;
  }

  /** Puts a picture and its numbers into a figure; what was folded out stays so. */
  function show(figure, picture, numbers) {
    const open = figure.querySelector("details")?.open ? " open" : "";
    figure.innerHTML = `${picture}<details${open}><summary>The numbers</summary>${numbers}</details>`;
  }

  return { colour, decimal, short, show, svg, table };
})();
