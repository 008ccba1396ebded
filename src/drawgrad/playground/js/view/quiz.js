/* The questions: each answer is told why it is wrong. */
"use strict";

const Quiz = (() => {
  function connect(place) {
    place.innerHTML = Questions.map(({ ask, answers }, i) => `<fieldset><legend>${ask}</legend>`
      + answers.map(([words], j) => `<label class="answer"><input type="radio" name="question-${i}" value="${j}"> <span>${words}</span></label>`).join("")
      + `<p class="reason" id="reason-${i}" role="status"></p></fieldset>`).join("");
    place.addEventListener("change", (event) => {
      const number = Number(event.target.name.slice("question-".length));
      const [, why] = Questions[number].answers[Number(event.target.value)];
      const reason = document.getElementById(`reason-${number}`);
      reason.textContent = why === null ? "Right." : `Not so. ${why}`;
      reason.className = `reason ${why === null ? "right" : "wrong"}`;
    });
  }

  return { connect };
})();
