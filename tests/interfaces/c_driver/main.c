/* Every function of the C ABI with what a careless program may hand to it, from threads and in many cycles.
 *
 *     c_driver MODEL TREE-MODEL SCRATCH-FOLDER CYCLES
 *
 * MODEL knows H, C and O; TREE-MODEL works on a composition scheme with the sets part1 and part2 over H and O. Each
 * call is held against the status that the header promises and against words of the message; outputs of calls that
 * failed must not have been written. Prints what is wrong with its line, and ends with 1 if anything is.
 * tests/interfaces/test_c_driver.py compiles and runs it, in a plain build and in one with sanitizers. */
#include <stdio.h>
#include <stdlib.h>

#include "driver.h"

int main(int argc, char** argv) {
  nbcore_model *model, *tree;
  if (argc != 5) return 2;
  model = load(argv[1]), tree = load(argv[2]);
  handles(argv[1]);
  damaged_files(argv[1], argv[3]);
  sizes(model);
  spoiled(model);
  OK(nbcore_set_skin(model, 0));
  sizes(model);
  OK(nbcore_set_precision(model, 32));
  spoiled(model);
  composition_schemes(tree, model);
  OK(nbcore_free(model));
  OK(nbcore_free(tree));
  threads(argv[1], argv[2]);
  cycles(argv[1], argv[2], atoi(argv[4]));
  printf("%d checks, %d wrong\n", checks, wrong);
  return wrong == 0 ? 0 : 1;
}
