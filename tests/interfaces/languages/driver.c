/* One of the programs of language_programs.py: checks the golden cases of the model, reads "threads", then structures as
 * "n pbc[3] cell[9] (number x y z)*n" in hexadecimal numbers; writes the number of golden cases, their largest
 * difference, then energy, forces, virial of each structure. */
#include <nbcore/nbcore.h>
#include <stdio.h>
#include <stdlib.h>

#define MOST 4096

static int numbers_to(double* to, int n) {
  int k;
  for (k = 0; k < n; ++k)
    if (scanf("%la", &to[k]) != 1) return 0;
  return 1;
}

int main(int argc, char** argv) {
  nbcore_model* model = NULL;
  nbcore_options options = NBCORE_OPTIONS;
  int n, pbc[3], i, cases;
  static int numbers[MOST];
  static double positions[3 * MOST], forces[3 * MOST];
  double cell[9], energy, virial[9], difference;
  if (argc != 2 || nbcore_load(argv[1], &model) != NBCORE_OK || scanf("%d", &options.threads) != 1) return 2;
  if (nbcore_check_golden(model, &cases, &difference) != NBCORE_OK) {
    fprintf(stderr, "%s\n", nbcore_message());
    return 5;
  }
  printf("%d\n%a\n", cases, difference);
  while (scanf("%d %d %d %d", &n, &pbc[0], &pbc[1], &pbc[2]) == 4) {
    nbcore_system system = NBCORE_SYSTEM;
    nbcore_result result = NBCORE_RESULT;
    if (n > MOST || !numbers_to(cell, 9)) return 3;
    for (i = 0; i < n; ++i)
      if (scanf("%d", &numbers[i]) != 1 || !numbers_to(&positions[3 * i], 3)) return 3;
    system.n = n, system.positions = positions, system.numbers = numbers, system.cell = cell, system.pbc = pbc;
    result.energy = &energy, result.forces = forces, result.virial = virial;
    if (nbcore_compute(model, &system, &options, &result) != NBCORE_OK) {
      fprintf(stderr, "%s\n", nbcore_message());
      return 4;
    }
    printf("%a\n", energy);
    for (i = 0; i < 3 * n; ++i) printf("%a\n", forces[i]);
    for (i = 0; i < 9; ++i) printf("%a\n", virial[i]);
  }
  return nbcore_free(model) == NBCORE_OK ? 0 : 1;
}
