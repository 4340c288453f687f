/* Systems, lists and ghosts, level by level, with what a careless program may hand over; models that change their
 * precision under other threads. */
#define _POSIX_C_SOURCE 200809L /* threads */
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

static nbcore_system system_of(const structure* s) {
  nbcore_system system = NBCORE_SYSTEM;
  system.n = s->n, system.positions = s->positions, system.numbers = s->numbers;
  system.cell = s->cell, system.pbc = s->pbc;
  return system;
}

static nbcore_result result_of(result* r) {
  nbcore_result to = NBCORE_RESULT;
  untouch(r);
  to.energy = &r->energy, to.forces = r->forces, to.virial = r->virial, to.energies = r->energies;
  return to;
}

/* All pairs of a cluster as a list, both directions */
static int64_t list_of(const structure* s, int64_t* first, int* neighbours) {
  int64_t i, j, k = 0;
  for (i = 0; i < s->n; ++i)
    for (first[i] = k, j = 0; j < s->n; ++j)
      if (j != i) neighbours[k++] = (int)j;
  return first[s->n] = k;
}

static int same(const result* a, const result* b, int64_t n, double tolerance) {
  int64_t k;
  int good = fabs(a->energy - b->energy) <= tolerance * (1 + fabs(b->energy));
  for (k = 0; k < 3 * n; ++k) good &= fabs(a->forces[k] - b->forces[k]) <= tolerance * (1 + fabs(b->forces[k]));
  for (k = 0; k < 9; ++k) good &= fabs(a->virial[k] - b->virial[k]) <= 10 * tolerance * (1 + fabs(b->virial[k]));
  return good;
}

/* The half of a cluster that is owned, the others as ghosts; energy and forces of both halves add up. */
static void halves(const nbcore_model* model, const structure* s, const result* expected) {
  static result part, sum;
  int64_t i, k;
  int half;
  memset(&sum, 0, sizeof sum);
  for (half = 0; half < 2; ++half) {
    structure turned = *s; /* the owned half first */
    const int64_t n = half == 0 ? s->n / 2 : s->n - s->n / 2, from = half == 0 ? 0 : s->n / 2;
    nbcore_system system;
    nbcore_result to = result_of(&part);
    for (i = 0; i < s->n; ++i) {
      const int64_t old = (i + from) % s->n;
      turned.numbers[i] = s->numbers[old];
      memcpy(&turned.positions[3 * i], &s->positions[3 * old], 3 * sizeof(double));
    }
    system = system_of(&turned);
    system.cell = NULL, system.pbc = NULL, system.n = n, system.n_ghosts = s->n - n;
    OK(nbcore_compute(model, &system, NULL, &to));
    sum.energy += part.energy;
    for (i = 0; i < s->n; ++i)
      for (k = 0; k < 3; ++k) sum.forces[3 * ((i + from) % s->n) + k] += part.forces[3 * i + k];
    for (k = 0; k < 9; ++k) sum.virial[k] += part.virial[k];
  }
  TRUE(same(&sum, expected, s->n, 1e-10));
}

static void level_by_level(const nbcore_model* model, const structure* s, const result* expected) {
  static result r;
  static double virials[9 * MOST];
  nbcore_levels *levels = NULL, *stale;
  nbcore_info info = NBCORE_INFO;
  nbcore_options options = NBCORE_OPTIONS;
  nbcore_system system = system_of(s), bad = system;
  nbcore_result to = result_of(&r);
  size_t bytes = 0;
  double* rows;
  const int all[3] = {0, (int)s->n - 1, 1}, none[1] = {(int)s->n};
  int k, step;
  OK(nbcore_get_info(model, &info));
  EXPECT(NBCORE_EARG, "levels is NULL", nbcore_levels_new(model, NULL, NULL));
  EXPECT(NBCORE_EARG, "model is NULL", nbcore_levels_new(NULL, NULL, &levels));
  options.max_bytes = 1;
  EXPECT(NBCORE_EARG, "max_bytes", nbcore_levels_new(model, &options, &levels));
  options.max_bytes = -1, options.threads = 2;
  TRUE(levels == NULL);
  OK(nbcore_levels_new(model, &options, &levels));
  EXPECT(NBCORE_EARG, "nothing has begun", nbcore_levels_finish(levels));
  EXPECT(NBCORE_EARG, "system is NULL", nbcore_levels_begin(levels, NULL, &to));
  EXPECT(NBCORE_EARG, "result is NULL", nbcore_levels_begin(levels, &system, NULL));
  EXPECT(NBCORE_EARG, "bytes is NULL", nbcore_levels_row_bytes(levels, 1, NULL));
  EXPECT(NBCORE_EARG, "levels are 1 to", nbcore_levels_row_bytes(levels, 0, &bytes));
  OK(nbcore_levels_row_bytes(levels, 1, &bytes));
  rows = malloc(3 * bytes + 8);
  to.virials = virials;
  for (step = 0; step < 3; ++step) {
    bad.n = -1;
    EXPECT(NBCORE_ESHAPE, "n must be", nbcore_levels_begin(levels, &bad, &to));
    OK(nbcore_levels_begin(levels, &system, &to));
    if (step == 0) continue; /* another beginning in the midst of it */
    for (k = 1; k < info.levels; ++k) {
      EXPECT(NBCORE_EARG, "", nbcore_levels_finish(levels));
      OK(nbcore_levels_forward(levels, k));
      OK(nbcore_levels_read_states(levels, k, 3, all, rows));
      OK(nbcore_levels_write_states(levels, k, 3, all, rows));
      OK(nbcore_levels_read_states(levels, k, 0, NULL, NULL));
      EXPECT(NBCORE_EARG, "atoms is NULL", nbcore_levels_read_states(levels, k, 1, NULL, rows));
      EXPECT(NBCORE_EARG, "rows is NULL", nbcore_levels_write_states(levels, k, 1, all, NULL));
      EXPECT(NBCORE_EARG, "no atom", nbcore_levels_write_states(levels, k, 1, none, rows));
      EXPECT(NBCORE_ESHAPE, "n must be", nbcore_levels_read_states(levels, k, -1, all, rows));
    }
    for (k = info.levels; k >= 1; --k) {
      OK(nbcore_levels_adjoint(levels, k));
      EXPECT(NBCORE_EARG, "states of level", nbcore_levels_read_states(levels, 1, 1, all, rows));
      if (k == 1) break;
      OK(nbcore_levels_take_adjoints(levels, k - 1, 3, all, rows));
      OK(nbcore_levels_add_adjoints(levels, k - 1, 3, all, rows));
      EXPECT(NBCORE_EARG, "no atom", nbcore_levels_add_adjoints(levels, k - 1, 1, none, rows));
    }
    TRUE(r.energy == UNTOUCHED);
    OK(nbcore_levels_finish(levels));
    TRUE(same(&r, expected, s->n, 1e-10));
    untouch(&r);
    EXPECT(NBCORE_EARG, "nothing has begun", nbcore_levels_finish(levels));
    TRUE(r.energy == UNTOUCHED);
  }
  free(rows);
  stale = levels;
  OK(nbcore_levels_free(levels));
  OK(nbcore_levels_free(NULL));
  EXPECT(NBCORE_EARG, "was it freed?", nbcore_levels_begin(stale, &system, &to));
  EXPECT(NBCORE_EARG, "was it freed?", nbcore_levels_free(stale));
}

void domains(const nbcore_model* model, const nbcore_model* tree) {
  static structure s;
  static result expected, r;
  static int64_t first[MOST + 1];
  static int neighbours[125 * 124];
  nbcore_system system, bad;
  nbcore_result to = result_of(&r), short_result = to;
  nbcore_options options = NBCORE_OPTIONS;
  nbcore_info info = NBCORE_INFO;
  nbcore_levels* levels = NULL;
  nbcore_model* copy = NULL;
  char name[4] = "xyz";
  double distance = UNTOUCHED;
  int numbers = -1;
  s = crystal(5, 0, 4, 1);
  OK(evaluate(model, &s, &expected));
  system = system_of(&s);
  OK(nbcore_compute(model, &system, NULL, &to));
  TRUE(memcmp(&r, &expected, sizeof r) == 0 || same(&r, &expected, s.n, 0));
  EXPECT(NBCORE_EARG, "system is NULL", nbcore_compute(model, NULL, NULL, &to));
  EXPECT(NBCORE_EARG, "result is NULL", nbcore_compute(model, &system, NULL, NULL));
  bad = system, bad.size = 0;
  EXPECT(NBCORE_EARG, "system: size must be", nbcore_compute(model, &bad, NULL, &to));
  short_result.size = sizeof to + 1;
  EXPECT(NBCORE_EARG, "result: size must be", nbcore_compute(model, &system, NULL, &short_result));
  options.size -= 4; /* half of a member */
  EXPECT(NBCORE_EARG, "options: size must be", nbcore_compute(model, &system, &options, &to));
  options.size += 4, options.skin = NAN;
  EXPECT(NBCORE_EARG, "skin", nbcore_compute(model, &system, &options, &to));
  options.skin = 0, options.max_bytes = -2;
  EXPECT(NBCORE_EARG, "max_bytes", nbcore_compute(model, &system, &options, &to));
  options.max_bytes = 0;
  system.n_rows = s.n;
  EXPECT(NBCORE_EARG, "first is NULL", nbcore_compute(model, &system, &options, &to));
  list_of(&s, first, neighbours);
  system.first = first;
  EXPECT(NBCORE_EARG, "neighbours is NULL", nbcore_compute(model, &system, &options, &to));
  system.neighbours = neighbours;
  OK(nbcore_compute(model, &system, &options, &to));
  TRUE(same(&r, &expected, s.n, 1e-10));
  bad = system, bad.n_rows = 0;
  EXPECT(NBCORE_EARG, "n_rows is 0, but a list is given", nbcore_compute(model, &bad, &options, &to));
  bad.first = NULL, bad.neighbours = NULL, bad.half = 2;
  EXPECT(NBCORE_EARG, "half must be 0 or 1", nbcore_compute(model, &bad, &options, &to));
  neighbours[7] = -1;
  EXPECT(NBCORE_EARG, "neighbours[7]", nbcore_compute(model, &system, &options, &to));
  neighbours[7] = (int)s.n;
  EXPECT(NBCORE_EARG, "neighbours[7]", nbcore_compute(model, &system, &options, &to));
  list_of(&s, first, neighbours);
  bad = system, bad.n_rows = s.n - 1;
  EXPECT(NBCORE_ESHAPE, "row for each", nbcore_compute(model, &bad, &options, &to));
  bad = system, bad.half = -1;
  EXPECT(NBCORE_EARG, "half", nbcore_compute(model, &bad, &options, &to));
  s.positions[4] = NAN;
  EXPECT(NBCORE_ENONFINITE, "y of atom 1", nbcore_compute(model, &system, &options, &to));
  s = crystal(5, 0, 4, 1);
  s.numbers[3] = -8;
  EXPECT(NBCORE_ESPECIES, "atom 3", nbcore_compute(model, &system, &options, &to));
  s = crystal(5, 0, 4, 1);
  EXPECT(NBCORE_EARG, "composition scheme", nbcore_compute(tree, &system, &options, &to));
  EXPECT(NBCORE_EARG, "composition scheme", nbcore_levels_new(tree, NULL, &levels));
  halves(model, &s, &expected);
  level_by_level(model, &s, &expected);

  EXPECT(NBCORE_EARG, "info is NULL", nbcore_get_info(model, NULL));
  OK(nbcore_get_info(model, &info));
  TRUE(info.levels >= 1 && info.ghost_range == info.levels * info.cutoff && info.members == 1 && info.scheme == 0);
  TRUE(strcmp(info.energy_unit, "eV") == 0 && strlen(info.kernel_set) > 0);
  EXPECT(NBCORE_EARG, "there is no number 0", nbcore_output(model, 0, 4, name, &numbers, &numbers));
  EXPECT(NBCORE_EARG, "there is no number -1", nbcore_leaf(model, -1, 4, name, &numbers));
  TRUE(numbers == -1 && strcmp(name, "xyz") == 0);
  OK(nbcore_closest(model, 1, 8, &distance));
  TRUE(distance == 0);
  EXPECT(NBCORE_ESPECIES, "He", nbcore_closest(model, 1, 2, &distance));
  EXPECT(NBCORE_EARG, "distance is NULL", nbcore_closest(model, 1, 8, NULL));
  EXPECT(NBCORE_EARG, "bytes is NULL", nbcore_load_memory(NULL, 8, &copy));
  EXPECT(NBCORE_EARG, "model is NULL", nbcore_load_memory(name, 3, NULL));
  EXPECT(NBCORE_EMODEL, "the model in memory: not an nbcore model", nbcore_load_memory(name, 3, &copy));
  EXPECT(NBCORE_EMODEL, "the model in memory: not an nbcore model", nbcore_load_memory(name, 0, &copy));
  TRUE(copy == NULL);
}

/* ---- eight threads, four models, one of which changes its precision ---- */

enum { MODELS = 4, THREADS = 8, CALLS = 10 };
static nbcore_model* many[MODELS];
static structure of_many[MODELS];
static result in_double[MODELS], in_float;

static void* user(void* argument) {
  const int k = (int)(intptr_t)argument;
  intptr_t bad = 0;
  int i;
  result* r = malloc(sizeof *r);
  for (i = 0; i < CALLS; ++i) {
    const int which = (k + i) % MODELS;
    nbcore_options options = NBCORE_OPTIONS;
    nbcore_system system = system_of(&of_many[which]);
    nbcore_result to;
    memset(r, 0, sizeof *r);
    to = result_of(r);
    options.threads = 1 + (k + i) % 3;
    if (which == 0 && k % 2 == 0) options.precision = 64; /* said with the call: whatever others do */
    bad += nbcore_compute(many[which], &system, &options, &to) != NBCORE_OK;
    if (which == 0 && k % 2 == 1) { /* what others have set, but one of the two as a whole */
      bad += memcmp(r, &in_double[0], sizeof *r) != 0 && memcmp(r, &in_float, sizeof *r) != 0;
      bad += nbcore_set_precision(many[0], i % 2 ? 32 : 64) != NBCORE_OK;
    } else {
      bad += memcmp(r, &in_double[which], sizeof *r) != 0;
    }
  }
  free(r);
  return (void*)bad;
}

void changing_models(const char* path) {
  pthread_t ids[THREADS];
  intptr_t k;
  for (k = 0; k < MODELS; ++k) {
    nbcore_system system;
    nbcore_result to = result_of(&in_double[k]);
    many[k] = load(path);
    of_many[k] = k == 0 ? crystal(3, 1, 7, 1) : crystal(2 + (int)k, (int)k % 2, (unsigned)k, 1);
    system = system_of(&of_many[k]);
    OK(nbcore_compute(many[k], &system, NULL, &to));
    if (k > 0) continue;
    to = result_of(&in_float);
    OK(nbcore_set_precision(many[0], 32));
    OK(nbcore_compute(many[0], &system, NULL, &to));
    OK(nbcore_set_precision(many[0], 64));
    TRUE(in_float.energy != in_double[0].energy && same(&in_float, &in_double[0], system.n, 1e-3));
  }
  for (k = 0; k < THREADS; ++k) TRUE(pthread_create(&ids[k], NULL, user, (void*)k) == 0);
  for (k = 0; k < THREADS; ++k) {
    void* bad;
    pthread_join(ids[k], &bad);
    TRUE(bad == NULL);
  }
  for (k = 0; k < MODELS; ++k) OK(nbcore_free(many[k]));
}
