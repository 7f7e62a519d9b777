// What the device keeps of one sequence from step to step. The host writes it once, before the first token;
// after that `sample` moves it on, and every other kernel of a step reads it.
#pragma once

struct SequenceState {
    unsigned long long seed;
    double top_p;               // 1: off
    double min_p;               // 0: off
    double positive_factor;     // of the repetition penalty p, for logits of tokens seen before: 1 / p
    double negative_factor;     // p; both 1: off
    float inverse_temperature;  // finite; a greedy sequence ignores it
    int top_k;                  // 0: off
    int token;                  // the id chosen last: the input of the next step
    int position;               // of `token`
    int step;                   // which of the generated tokens is chosen next, from 0
    int num_steps;              // from this step on nothing is chosen and nothing changes
    int failed;                 // 1 once logits were not finite: likewise
};
