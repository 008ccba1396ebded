/* Questions to check oneself by, and what is wrong with each wrong answer. */
"use strict";

const Questions = [
  {
    ask: "As τ goes to 0, the relaxed sample approaches ...",
    answers: [
      ["the most probable class, always", "That is what softmax(logits / τ) without noise does. With the noise, each class still wins as often as its probability says."],
      ["a one-hot vector, of a class drawn with its probability", null],
      ["the vector of probabilities", "That is an average over many draws. A single draw becomes a corner of the simplex."],
      ["the uniform vector 1/K", "That is the other end: τ towards infinity."],
    ],
  },
  {
    ask: "One seed, two temperatures. Which class is the largest?",
    answers: [
      ["The same at both", null],
      ["The warmer one is more random, so it may be another one", "The noise is added before the division: τ divides all perturbed logits alike, so their order stays."],
      ["At the colder one it is the class of the largest logit", "The temperature does not remove the noise. The largest perturbed logit wins at every temperature."],
    ],
  },
  {
    ask: "Adding 5 to all logits ...",
    answers: [
      ["makes the samples harder", "Differences of logits make samples hard, or a small τ. A constant cancels in the softmax."],
      ["changes nothing", null],
      ["makes class 0 more probable", "All classes gain alike; only differences count."],
    ],
  },
  {
    ask: "As τ falls, the gradient of a Gumbel-Softmax draw gets ...",
    answers: [
      ["less biased, and its variance grows", null],
      ["less biased, at no price", "Look at the dial: the slope of the softmax is 1/τ where two scores are close, and nearly zero elsewhere. That is variance."],
      ["more biased, with less variance", "It is the other way round: warm samples are smooth, and far from the choice that is meant."],
    ],
  },
  {
    ask: "Straight-through shows the cost a hard sample. For which cost is its gradient unbiased?",
    answers: [
      ["For every cost, since the sample is exact", "The value is unbiased. The gradient takes the slope at the sample for the difference between classes."],
      ["For a linear cost, if the slope is that of the probabilities", null],
      ["For a quadratic cost", "A quadratic one is biased already: between two classes its slope changes. ReinMax is the one that is exact there."],
    ],
  },
  {
    ask: "The cost is a table, or a simulator that takes whole classes only. Which estimators are left?",
    answers: [
      ["Gumbel-Softmax at a low temperature", "Its samples are never quite at the corners, and its gradient needs the slope of the cost, which a table has not."],
      ["Straight-through: its samples are hard", "The cost can be evaluated, but there is no slope to carry back."],
      ["Score functions such as Reinforce, and enumeration", null],
    ],
  },
  {
    ask: "A model was trained with relaxed samples at τ = 1 and is tested with hard ones. What may happen?",
    answers: [
      ["Nothing: the argmax is the same", "The argmax is, but the layers after it have never seen a one-hot vector."],
      ["It does worse than in training: it used what the soft entries told", null],
      ["It does better: there is less noise", "Hard samples are as random as soft ones. There is less information in them."],
    ],
  },
];
