// What the search shows first: where a word is explained, before where it is used; last, what was once wrong.
"use strict";

var Scorer = {
  score: ([page, , anchor, , score]) => {
    const rank = {"pages/glossary": 20, "pages/when_it_goes_wrong": 15, "pages/corrections": -100}[page] ?? 0;
    return score + rank + (rank > 0 && anchor ? 10 : 0); // the very entry before its page
  },
  // As Sphinx has them.
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: {0: 15, 1: 5, 2: -5},
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
