/* Energy and forces of glycolaldehyde with a trained model:  ./energy MODEL.nbcore */
#include <stdio.h>

#include <nbcore/nbcore.h>

int main(int argc, char** argv) {
  const int numbers[8] = {6, 6, 8, 8, 1, 1, 1, 1};
  const double positions[8 * 3] = {-0.526, -0.581, -0.499, 0.849,  -0.514, 0.142,  -1.333, 0.321,
                                   -0.623, 0.971,  0.641,  0.895,  -0.975, -1.579, -0.672, 0.944,
                                   -1.384, 0.762,  1.530,  -0.591, -0.718, 0.406,  1.326,  0.543};
  double energy, forces[8 * 3];
  nbcore_model* model;
  int i;
  if (argc != 2) {
    fprintf(stderr, "usage: energy MODEL.nbcore\n");
    return 2;
  }
  if (nbcore_load(argv[1], &model) != NBCORE_OK) {
    fprintf(stderr, "%s\n", nbcore_message());
    return 1;
  }
  /* no cell, not periodic, one thread; virial and energies per atom are not asked for */
  if (nbcore_evaluate(model, 8, positions, numbers, NULL, NULL, 1, &energy, forces, NULL, NULL) != NBCORE_OK) {
    fprintf(stderr, "%s\n", nbcore_message());
    return 1;
  }
  printf("%.6f eV\n", energy);
  for (i = 0; i < 8; ++i) printf("%12.6f %12.6f %12.6f eV/A\n", forces[3 * i], forces[3 * i + 1], forces[3 * i + 2]);
  nbcore_free(model);
  return 0;
}
