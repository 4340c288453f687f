/* Checks, structures, schemes: what the parts are made of. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

int checks = 0, wrong = 0;

void check(int line, const char* file, const char* call, int got, int expected, const char* words) {
  ++checks;
  if (got != expected)
    ++wrong, printf("%s:%d: %s gave %d, expected %d (%s)\n", file, line, call, got, expected, nbcore_message());
  else if (got != NBCORE_OK && strstr(nbcore_message(), words) == NULL)
    ++wrong, printf("%s:%d: %s says \"%s\", not \"%s\"\n", file, line, call, nbcore_message(), words);
}

void check_fact(int line, const char* file, const char* words, int fact) {
  ++checks;
  if (!fact) ++wrong, printf("%s:%d: not so: %s\n", file, line, words);
}

static double uniform(unsigned* seed) { /* in [0, 1), the same everywhere */
  *seed = *seed * 1664525u + 1013904223u;
  return (*seed >> 8) / 16777216.0;
}

structure crystal(int k, int periodic, unsigned seed, int with_carbon) {
  static const int elements[3] = {1, 8, 6};
  structure s;
  int i, c;
  memset(&s, 0, sizeof s);
  s.n = (int64_t)k * k * k;
  for (i = 0; i < 3; ++i) s.cell[4 * i] = 2.3 * k, s.pbc[i] = periodic;
  s.cell[3] = 0.3 * k, s.cell[6] = -0.2 * k, s.cell[7] = 0.1 * k;
  for (i = 0; i < s.n; ++i) {
    const double at[3] = {i % k / (double)k, i / k % k / (double)k, i / k / k / (double)k};
    for (c = 0; c < 3; ++c)
      s.positions[3 * i + c] =
          at[0] * s.cell[c] + at[1] * s.cell[3 + c] + at[2] * s.cell[6 + c] + 0.6 * (uniform(&seed) - 0.5);
    s.numbers[i] = elements[(int)(uniform(&seed) * (with_carbon ? 3 : 2))];
  }
  return s;
}

structure molecule(void) {
  static const double at[12] = {0, 0, 0, 1.1, 0, 0, -0.5, 1.0, 0.1, -0.6, -0.9, 0.3};
  static const int numbers[4] = {6, 8, 1, 1};
  structure s;
  memset(&s, 0, sizeof s);
  s.n = 4;
  memcpy(s.positions, at, sizeof at), memcpy(s.numbers, numbers, sizeof numbers);
  s.cell[0] = s.cell[4] = s.cell[8] = 6.0;
  return s;
}

void untouch(result* r) {
  size_t i;
  for (i = 0; i < sizeof *r / sizeof(double); ++i) ((double*)r)[i] = UNTOUCHED;
}

static int untouched(const result* r) {
  size_t i;
  for (i = 0; i < sizeof *r / sizeof(double); ++i)
    if (((const double*)r)[i] != UNTOUCHED) return 0;
  return 1;
}

nbcore_status evaluate(const nbcore_model* model, const structure* s, result* r) {
  nbcore_status status;
  untouch(r);
  status = nbcore_evaluate(model, s->n, s->positions, s->numbers, s->cell, s->pbc, s->threads, &r->energy, r->forces,
                           r->virial, r->energies);
  if (status != NBCORE_OK && !untouched(r)) printf("%s: an output was written\n", nbcore_message()), ++wrong;
  return status;
}

nbcore_model* load(const char* path) {
  nbcore_model* model = NULL;
  OK(nbcore_load(path, &model));
  return model;
}

void fill(parts* p, int n) {
  int i, k = 0;
  memset(p, 0, sizeof *p);
  p->n = n;
  for (i = 0; i < n; i += 2) p->atoms[k] = i, p->coefficients[k++] = 1.0 / ((n + 1) / 2);
  p->atom_first[1] = p->child_first[1] = k;
  for (i = 1; i < n; i += 2) p->atoms[k] = i, p->coefficients[k++] = 1.0 / (n / 2);
  p->atom_first[2] = p->child_first[2] = k;
  for (i = 0; i < n; ++i) p->root_atoms[i] = i, p->root_coefficients[i] = 1.0 / n;
  p->root_first[1] = n, p->root_child_first[1] = 2, p->root_children[1] = 1;
}

nbcore_status run(const nbcore_model* model, nbcore_scheme* scheme, const structure* s, result* r) {
  nbcore_status status;
  untouch(r);
  status = nbcore_evaluate_scheme(model, scheme, s->n, s->positions, s->numbers, s->cell, s->pbc, s->threads,
                                  &r->energy, r->forces, r->virial, r->energies);
  if (status != NBCORE_OK && !untouched(r)) printf("%s: an output was written\n", nbcore_message()), ++wrong;
  return status;
}
