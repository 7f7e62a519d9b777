// The (token, slot) pairs of a chunk, sorted by the expert that each chose. Letters: P = pairs, E = experts. An expert's
// begin at a multiple of 8, so that panels keep their order of chunks; in between, rows are nobody's.
#pragma once

struct ExpertLists {
    int* counts;   // [E] pairs of each expert
    int* starts;   // [E] where they begin, of an expert that has some
    int* pairs;    // [P + 8E] the pair in each sorted row
};
