/* Every function of the C ABI with what a careless program may hand to it, from threads and in many cycles.
 *
 *     c_driver MODEL TREE-MODEL KNOWING-MODEL COMMITTEE SCRATCH-FOLDER CYCLES
 *     c_driver files FILE ...
 *
 * MODEL knows H, C and O; TREE-MODEL works on a composition scheme with the sets part1 and part2 over H and O;
 * KNOWING-MODEL and COMMITTEE know their errors. Each
 * call is held against the status that the header promises and against words of the message; outputs of calls that
 * failed must not have been written. With `files` each is loaded, evaluated and freed, whatever it holds (for
 * tools/fuzz_models.py); NBCORE_EINTERNAL, a bug, is the one status that is wrong. Prints what is wrong with its line, and ends with 1 if anything is.
 * tests/interfaces/test_c_driver.py compiles and runs it, in a plain build and in one with sanitizers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

static void any_file(const char* path) {
  structure s = molecule();
  nbcore_model* model = NULL;
  result r;
  int known[4], n = 0, i;
  if ((n = (int)nbcore_load(path, &model)) != NBCORE_OK) {
    TRUE(model == NULL && n != NBCORE_EINTERNAL);
    return;
  }
  TRUE(nbcore_species(model, 4, known, &n) != NBCORE_EINTERNAL && n > 0);
  for (i = 0; i < 4 && n > 0; ++i) s.numbers[i] = known[i % (n < 4 ? n : 4)];
  TRUE(evaluate(model, &s, &r) != NBCORE_EINTERNAL);
  s = crystal(5, 1, 1, 0);
  for (i = 0; i < (int)s.n && n > 0; ++i) s.numbers[i] = known[i % (n < 4 ? n : 4)];
  s.threads = 2;
  TRUE(evaluate(model, &s, &r) != NBCORE_EINTERNAL);
  OK(nbcore_free(model));
}

int main(int argc, char** argv) {
  nbcore_model *model, *tree;
  int i;
  if (argc > 1 && strcmp(argv[1], "files") == 0) {
    for (i = 2; i < argc; ++i) any_file(argv[i]);
    return wrong == 0 ? 0 : 1;
  }
  if (argc != 7) return 2;
  model = load(argv[1]), tree = load(argv[2]);
  handles(argv[1]);
  damaged_files(argv[1], argv[5]);
  uncertainties(argv[3], argv[4], model);
  domains(model, tree);
  misuse(model, tree, 1500);
  changing_models(argv[1]);
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
  cycles(argv[1], argv[2], atoi(argv[6]));
  printf("%d checks, %d wrong\n", checks, wrong);
  return wrong == 0 ? 0 : 1;
}
