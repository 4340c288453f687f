/* Handles, files, and structures with every argument spoiled. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

/* ---- handles, NULL, options ---- */

void handles(const char* path) {
  nbcore_model *model = load(path), *other = (nbcore_model*)&wrong, *kept = other;
  const structure s = molecule();
  double cutoff = UNTOUCHED;
  int numbers[4] = {-1, -1, -1, -1}, n = -1;
  int64_t searches = -1;
  result r;
  TRUE(strcmp(nbcore_version(), NBCORE_VERSION) == 0);
  EXPECT(NBCORE_EARG, "path is NULL", nbcore_load(NULL, &other));
  EXPECT(NBCORE_EARG, "model is NULL", nbcore_load(path, NULL));
  EXPECT(NBCORE_EIO, "No such file", nbcore_load("", &other));
  EXPECT(NBCORE_EIO, "No such file", nbcore_load("/nowhere/at all", &other));
  TRUE(nbcore_errno() == 2);
  EXPECT(NBCORE_EIO, "directory", nbcore_load("/", &other));
  TRUE(other == kept);
  OK(nbcore_cutoff(model, &cutoff));
  TRUE(cutoff > 0);
  EXPECT(NBCORE_EARG, "cutoff is NULL", nbcore_cutoff(model, NULL));
  OK(nbcore_species(model, 0, NULL, &n));
  TRUE(n == 3);
  OK(nbcore_species(model, 2, numbers, &n));
  TRUE(numbers[0] == 1 && numbers[1] == 6 && numbers[2] == -1);
  OK(nbcore_species(model, INT_MAX, numbers, &n));
  TRUE(numbers[2] == 8 && numbers[3] == -1);
  EXPECT(NBCORE_EARG, "numbers is NULL", nbcore_species(model, 1, NULL, &n));
  EXPECT(NBCORE_EARG, "n is NULL", nbcore_species(model, 0, NULL, NULL));
  EXPECT(NBCORE_EARG, "capacity", nbcore_species(model, INT_MIN, numbers, &n));
  EXPECT(NBCORE_EARG, "precision", nbcore_set_precision(model, INT_MIN));
  EXPECT(NBCORE_EARG, "skin", nbcore_set_skin(model, NAN));
  EXPECT(NBCORE_EARG, "skin", nbcore_set_skin(model, INFINITY));
  EXPECT(NBCORE_EARG, "skin", nbcore_set_skin(model, -1e-300));
  EXPECT(NBCORE_EARG, "bytes", nbcore_set_max_bytes(model, INT64_MIN));
  OK(nbcore_set_max_bytes(model, INT64_MAX));
  OK(nbcore_set_max_bytes(model, 0));
  OK(nbcore_searches(model, &searches));
  TRUE(searches == 0);
  EXPECT(NBCORE_EARG, "searches is NULL", nbcore_searches(model, NULL));
  n = -1;
  EXPECT(NBCORE_EARG, "cases is NULL", nbcore_check_golden(model, NULL, &cutoff));
  EXPECT(NBCORE_EARG, "difference is NULL", nbcore_check_golden(model, &n, NULL));
  TRUE(n == -1);
  OK(nbcore_check_golden(model, &n, &cutoff));
  TRUE(n == 2 && cutoff >= 0 && cutoff <= 1e-10);
  EXPECT(NBCORE_EARG, "digest is NULL", nbcore_digest(model, NULL));
  OK(nbcore_free(model));
  OK(nbcore_free(NULL));
  other = load(path);
  for (n = 0; n < 4; ++n) { /* freed, never made, NULL, the address of something else */
    nbcore_model* stale = n == 0 ? model : n == 1 ? (nbcore_model*)UINTPTR_MAX : n == 2 ? NULL : (nbcore_model*)&r;
    const char* words = n == 2 ? "model is NULL" : "was it freed?";
    if (n != 2) EXPECT(NBCORE_EARG, words, nbcore_free(stale));
    EXPECT(NBCORE_EARG, words, evaluate(stale, &s, &r));
    EXPECT(NBCORE_EARG, words, nbcore_cutoff(stale, &cutoff));
    EXPECT(NBCORE_EARG, words, nbcore_species(stale, 0, NULL, &numbers[0]));
    EXPECT(NBCORE_EARG, words, nbcore_set_precision(stale, 32));
    EXPECT(NBCORE_EARG, words, nbcore_set_skin(stale, 0));
    EXPECT(NBCORE_EARG, words, nbcore_set_max_bytes(stale, 0));
    EXPECT(NBCORE_EARG, words, nbcore_searches(stale, &searches));
    EXPECT(NBCORE_EARG, words, nbcore_check_golden(stale, &numbers[0], &cutoff));
  }
  OK(evaluate(other, &s, &r));
  OK(nbcore_free(other));
}

/* ---- files: cut at many lengths, with single bytes changed ---- */

static void write_file(const char* path, const char* data, size_t n) {
  FILE* f = fopen(path, "wb");
  TRUE(f != NULL && fwrite(data, 1, n, f) == n && fclose(f) == 0);
}

void damaged_files(const char* path, const char* scratch) {
  char name[4096], *data = malloc(1 << 22);
  FILE* f = fopen(path, "rb");
  const size_t size = fread(data, 1, 1 << 22, f);
  size_t at, step;
  nbcore_model *model = NULL, *never = NULL;
  fclose(f);
  snprintf(name, sizeof name, "%s/damaged.nbcore", scratch);
  for (at = 0, step = 1; at < size; at += step, step += 1 + step / 8) {
    write_file(name, data, at);
    EXPECT(NBCORE_EMODEL, "", nbcore_load(name, &never));
  }
  for (at = 0, step = 1; at < size; at += step, step += 1 + step / 8) {
    data[at] ^= 0x11;
    write_file(name, data, size);
    EXPECT(NBCORE_EMODEL, "", nbcore_load(name, &never));
    data[at] ^= 0x11;
  }
  TRUE(never == NULL);
  write_file(name, data, size);
  OK(nbcore_load(name, &model));
  OK(nbcore_free(model));
  free(data);
}

/* ---- structures: from none at all to tiny cells, and every argument spoiled ---- */

void sizes(const nbcore_model* model) {
  structure s = molecule();
  result r, many;
  int i, k;
  untouch(&r);
  OK(nbcore_evaluate(model, 0, NULL, NULL, NULL, NULL, 0, &r.energy, r.forces, r.virial, r.energies));
  TRUE(r.energy == 0 && r.virial[0] == 0 && r.forces[0] == UNTOUCHED && r.energies[0] == UNTOUCHED);
  OK(nbcore_evaluate(model, 4, s.positions, s.numbers, NULL, NULL, 0, NULL, NULL, NULL, NULL));
  for (k = 0; k < 8; ++k) { /* no atom, and one, in every kind of periodicity */
    for (i = 0; i < 3; ++i) s.pbc[i] = k >> i & 1;
    s.n = 0;
    OK(evaluate(model, &s, &r));
    TRUE(r.energy == 0);
    s.n = 1;
    OK(evaluate(model, &s, &r));
    TRUE(r.energies[0] == r.energy && fabs(r.forces[0]) < 1e-9 && r.forces[3] == UNTOUCHED);
  }
  /* one atom in cells far smaller than the cutoff, cubic and as thin as a needle: as many copies give as many times the
   * energy, and by symmetry no force */
  for (k = 0; k < 3; ++k) {
    structure copies;
    memset(&s, 0, sizeof s);
    s.n = 1, s.numbers[0] = 8;
    for (i = 0; i < 3; ++i) s.pbc[i] = 1, s.positions[i] = 1e3 * i;
    s.cell[0] = k == 2 ? 40 : 1.2, s.cell[4] = 1.3, s.cell[8] = k == 0 ? 1.2 : 1.9, s.cell[6] = k == 1 ? 7.3 : 0;
    OK(evaluate(model, &s, &r));
    copies = s, copies.n = 8;
    for (i = 0; i < 8; ++i) {
      int c;
      copies.numbers[i] = 8;
      for (c = 0; c < 3; ++c)
        copies.positions[3 * i + c] =
            s.positions[c] + (i & 1) * s.cell[c] + (i >> 1 & 1) * s.cell[3 + c] + (i >> 2 & 1) * s.cell[6 + c];
    }
    for (i = 0; i < 9; ++i) copies.cell[i] *= 2;
    OK(evaluate(model, &copies, &many));
    TRUE(fabs(many.energy - 8 * r.energy) < 1e-9 * (1 + fabs(many.energy)));
    for (i = 0; i < 9; ++i) TRUE(fabs(many.virial[i] - 8 * r.virial[i]) < 1e-9 * (1 + fabs(many.virial[0])));
    for (i = 0; i < 24; ++i) TRUE(fabs(many.forces[i]) < 1e-8 * (1 + fabs(many.virial[0])));
  }
  s = crystal(7, 1, 5, 1); /* more than one block; on more threads than there are cores the same bits */
  OK(evaluate(model, &s, &r));
  for (s.threads = 1; s.threads < 20; s.threads += 6) {
    OK(evaluate(model, &s, &many));
    TRUE(memcmp(&r, &many, sizeof r) == 0);
  }
}

void spoiled(const nbcore_model* model) {
  static const double bad[3] = {NAN, INFINITY, -INFINITY};
  static const int64_t counts[5] = {-1, INT64_MIN, (int64_t)INT_MAX + 1, INT64_MAX, (int64_t)1 << 40};
  static const int elements[8] = {0, -1, 7, 9, 119, 255, INT_MAX, INT_MIN};
  static const int wrong_threads[5] = {-1, INT_MIN, 1025, 65536, INT_MAX};
  const structure good = molecule();
  structure s;
  result before, r;
  int i, k, p;
  OK(evaluate(model, &good, &before));
  for (i = 0; i < 12; ++i)
    for (k = 0; k < 3; ++k)
      for (p = 0; p < 8; ++p) {
        s = good, s.positions[i] = bad[k];
        s.pbc[0] = p & 1, s.pbc[1] = p >> 1 & 1, s.pbc[2] = p >> 2 & 1;
        EXPECT(NBCORE_ENONFINITE, k == 0 ? "is nan" : "inf", evaluate(model, &s, &r));
      }
  for (i = 0; i < 9; ++i)
    for (k = 0; k < 3; ++k) {
      s = good, s.cell[i] = bad[k], s.pbc[i / 3] = 1;
      EXPECT(NBCORE_ECELL, k == 0 ? "is nan" : "inf", evaluate(model, &s, &r));
      s.pbc[i / 3] = 0; /* not even along directions that are not periodic */
      EXPECT(NBCORE_ECELL, k == 0 ? "is nan" : "inf", evaluate(model, &s, &r));
      s.cell[i] = 1e-300; /* what is finite does not count there */
      OK(evaluate(model, &s, &r));
    }
  for (i = 0; i < 4; ++i)
    for (k = 0; k < 8; ++k) {
      char words[32];
      s = good, s.numbers[i] = elements[k];
      snprintf(words, sizeof words, "atom %d", i);
      EXPECT(NBCORE_ESPECIES, words, evaluate(model, &s, &r));
    }
  for (k = 0; k < 5; ++k) {
    s = good, s.n = counts[k];
    EXPECT(NBCORE_ESHAPE, "n must be between", evaluate(model, &s, &r));
    s = good, s.threads = wrong_threads[k];
    EXPECT(NBCORE_EARG, "threads", evaluate(model, &s, &r));
  }
  s = good, s.threads = 1024; /* the most that is allowed, for four atoms */
  OK(evaluate(model, &s, &r));
  for (k = 0; k < 3; ++k) {
    s = good, s.pbc[k] = k == 0 ? 2 : k == 1 ? -1 : INT_MIN;
    EXPECT(NBCORE_EARG, "must be 0 or 1", evaluate(model, &s, &r));
  }
  for (i = 1; i < 4; ++i) { /* every atom on the first one, exactly and nearly, and through the border of the cell */
    s = good;
    for (k = 0; k < 3; ++k) s.positions[3 * i + k] = s.positions[k];
    EXPECT(NBCORE_EOVERLAP, "atoms 0 and", evaluate(model, &s, &r));
    s.positions[3 * i] = 5e-324;
    EXPECT(NBCORE_EOVERLAP, "atoms 0 and", evaluate(model, &s, &r));
    s.positions[3 * i] = -6.0, s.pbc[0] = 1;
    EXPECT(NBCORE_EOVERLAP, "atoms 0 and", evaluate(model, &s, &r));
  }
  for (k = 0; k < 10; ++k) { /* cells that are none */
    static const double far[3] = {1e30, 1e160, 1e308}, near[3] = {1e-9, 1e-160, 5e-324};
    s = good, s.pbc[0] = s.pbc[1] = s.pbc[2] = 1;
    if (k == 0) memset(s.cell, 0, sizeof s.cell);
    if (k == 1) s.cell[8] = 0;
    if (k == 2) memcpy(s.cell + 3, s.cell, 3 * sizeof(double));
    if (k == 3) s.cell[8] = 0, s.cell[6] = s.cell[7] = 6;
    for (i = 0; k > 3 && i < 9; ++i) s.cell[i] *= k < 7 ? far[k - 4] : near[k - 7];
    EXPECT(NBCORE_ECELL, "", evaluate(model, &s, &r));
  }
  s = good, s.pbc[1] = 1;
  EXPECT(NBCORE_ECELL, "cell is NULL",
         nbcore_evaluate(model, s.n, s.positions, s.numbers, NULL, s.pbc, 0, NULL, NULL, NULL, NULL));
  EXPECT(NBCORE_EARG, "positions is NULL",
         nbcore_evaluate(model, 1, NULL, s.numbers, NULL, NULL, 0, NULL, NULL, NULL, NULL));
  EXPECT(NBCORE_EARG, "numbers is NULL",
         nbcore_evaluate(model, 1, s.positions, NULL, NULL, NULL, 0, NULL, NULL, NULL, NULL));
  s = good, s.positions[3] = 1e300; /* far away is refused, or is alone; in no case a crash */
  if ((k = (int)evaluate(model, &s, &r)) != NBCORE_OK) EXPECT(NBCORE_EARG, "lies", evaluate(model, &s, &r));
  OK(evaluate(model, &good, &r)); /* after all that the same bits as before */
  TRUE(memcmp(&r, &before, sizeof r) == 0);
}
