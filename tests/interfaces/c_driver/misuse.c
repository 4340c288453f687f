/* Systems, options and results with members drawn from what nobody should hand over, one to three at a time, and handles
 * of other kinds. Whatever comes, the call returns: a status of the header, the outputs untouched after an error, and
 * the next good call with the bits of the first. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

enum { ATOMS = 27, PAIRS = ATOMS * (ATOMS - 1) };
typedef struct {
  nbcore_system system;
  nbcore_options options;
  nbcore_result result;
  double positions[3 * ATOMS], cell[9];
  int numbers[ATOMS], pbc[3], neighbours[PAIRS], shifts[3 * PAIRS], owners[ATOMS];
  int64_t first[ATOMS + 1];
  double virials[9 * ATOMS];
  result r;
} call;

static unsigned seed = 1;
static int draw(int n) {
  seed = seed * 1664525u + 1013904223u;
  return (int)((seed >> 8) % (unsigned)n);
}

/* A good one: a structure, the same with a list, with a half list, with ghosts, or ghosts alone. */
static void good(call* c, int kind) {
  const nbcore_system system = NBCORE_SYSTEM;
  const nbcore_options options = NBCORE_OPTIONS;
  const nbcore_result result = NBCORE_RESULT;
  structure s = crystal(3, kind == 0, 11, 1);
  int i, j, k = 0;
  c->system = system, c->options = options, c->result = result;
  memcpy(c->positions, s.positions, sizeof c->positions), memcpy(c->numbers, s.numbers, sizeof c->numbers);
  memcpy(c->cell, s.cell, sizeof c->cell), memcpy(c->pbc, s.pbc, sizeof c->pbc);
  memset(c->shifts, 0, sizeof c->shifts), memset(c->owners, 0, sizeof c->owners);
  for (i = 0; i < ATOMS; ++i)
    for (c->first[i] = k, j = 0; j < ATOMS; ++j)
      if (j > i || (j < i && kind != 2)) c->neighbours[k++] = j;
  c->first[ATOMS] = k;
  c->system.n = kind == 3 ? 9 : kind == 4 ? 0 : ATOMS, c->system.n_ghosts = ATOMS - c->system.n;
  c->system.positions = c->positions, c->system.numbers = c->numbers, c->system.cell = c->cell, c->system.pbc = c->pbc;
  if (kind > 0)
    c->system.n_rows = ATOMS, c->system.first = c->first, c->system.neighbours = c->neighbours,
    c->system.shifts = kind == 1 ? c->shifts : NULL, c->system.half = kind == 2;
  untouch(&c->r);
  for (i = 0; i < 9 * ATOMS; ++i) c->virials[i] = UNTOUCHED;
  c->result.energy = &c->r.energy, c->result.forces = c->r.forces, c->result.virial = c->r.virial;
  c->result.energies = c->r.energies, c->result.virials = c->virials;
}

static double a_number(void) {
  static const double numbers[] = {NAN,  INFINITY, -INFINITY, 1e308, -1e308, 1e-308, 5e-324, 0,
                                   -0.0, 1e9,      -1e9,      1e-9,  0.5,    -1,     1e16,   2.3};
  return numbers[draw((int)(sizeof numbers / sizeof *numbers))];
}

static int64_t a_count(void) {
  static const int64_t counts[] = {0, 1, -1, INT_MIN, INT_MAX, INT64_MIN, INT64_MAX, (int64_t)1 << 32, 2, 26, 1000};
  return counts[draw((int)(sizeof counts / sizeof *counts))];
}

/* One member made wrong, or right in another way */
static void spoil(call* c, const nbcore_model* other) {
  const int64_t count = a_count();
  const size_t size = draw(2) ? (size_t)count : (size_t)draw(300);
  switch (draw(31)) {
    case 0:
      c->positions[draw(3 * ATOMS)] = a_number();
      break;
    case 1:
      c->cell[draw(9)] = a_number();
      break;
    case 2:
      c->numbers[draw(ATOMS)] = (int)count;
      break;
    case 3:
      c->pbc[draw(3)] = (int)count;
      break;
    case 4:
      c->neighbours[draw(PAIRS)] = (int)count;
      break;
    case 5:
      c->shifts[draw(3 * PAIRS)] = (int)count;
      break;
    case 6:
      c->first[draw(ATOMS)] = count;
      break;
    case 7:
      c->owners[draw(ATOMS)] = (int)count, c->system.owners = c->owners;
      break;
    case 8:
      c->system.owners = c->owners;
      break;
    case 9:
      c->system.half = (int)count;
      break;
    case 10:
      c->system.n = draw(ATOMS), c->system.n_ghosts = 0;
      break;
    case 11:
      c->system.n_ghosts = -1 - draw(1000);
      break;
    case 12:
      c->system.n = count > ATOMS || count < 0 ? -1 - draw(9) : count;
      break;
    case 13:
      c->system.n_rows = draw(ATOMS + 1);
      break;
    case 14:
      c->system.n_rows = count < 0 ? count : 0;
      break;
    case 15:
      c->system.positions = NULL;
      break;
    case 16:
      c->system.numbers = NULL;
      break;
    case 17:
      c->system.cell = NULL;
      break;
    case 18:
      c->system.pbc = NULL;
      break;
    case 19:
      c->system.first = NULL;
      break;
    case 20:
      c->system.neighbours = NULL;
      break;
    case 21:
      c->system.shifts = c->shifts;
      break;
    case 22:
      c->system.scheme = (nbcore_scheme*)(uintptr_t)(draw(2) ? (uintptr_t)other : (uintptr_t)count);
      break;
    case 23:
      c->system.size = size;
      break;
    case 24:
      c->result.size = size;
      break;
    case 25:
      c->options.size = size;
      break;
    case 26:
      c->options.threads = (int)count;
      break;
    case 27:
      c->options.precision = draw(2) ? (int)count : 32;
      break;
    case 28:
      c->options.skin = a_number();
      break;
    case 29:
      c->options.max_bytes = count;
      break;
    default:
      memcpy(c->positions + 3 * draw(ATOMS), c->positions + 3 * draw(ATOMS), 3 * sizeof(double));
      break;
  }
}

/* No array shorter than the counts say: nobody could see that. */
static void keep_within(call* c) {
  nbcore_system* s = &c->system;
  if (s->n > 0 && s->n_ghosts > ATOMS - s->n) s->n_ghosts = ATOMS - s->n;
  if (s->n_rows >= 0 && s->n_rows <= ATOMS && c->first[s->n_rows] > PAIRS) c->first[s->n_rows] = PAIRS;
  if (c->options.threads > 4) c->options.threads = 2000; /* threads that are allowed would only take time */
}

static int is_untouched(const call* c) {
  size_t i;
  int good = 1;
  for (i = 0; i < sizeof c->r / sizeof(double); ++i) good &= ((const double*)&c->r)[i] == UNTOUCHED;
  for (i = 0; i < 9 * ATOMS; ++i) good &= c->virials[i] == UNTOUCHED;
  return good;
}

void misuse(const nbcore_model* model, const nbcore_model* other, int rounds) {
  static call c, expected[5];
  static int seen[16];
  nbcore_levels* levels = NULL;
  int round, kind, k;
  nbcore_status status;
  for (kind = 0; kind < 5; ++kind) {
    good(&expected[kind], kind);
    OK(nbcore_compute(model, &expected[kind].system, &expected[kind].options, &expected[kind].result));
  }
  OK(nbcore_levels_new(model, NULL, &levels));
  for (round = 0; round < rounds; ++round) {
    good(&c, kind = round % 5);
    for (k = draw(3); k >= 0; --k) spoil(&c, other);
    keep_within(&c);
    status = nbcore_compute(model, &c.system, &c.options, &c.result);
    TRUE((int)status >= 0 && status <= NBCORE_EINTERRUPTED && status != NBCORE_EINTERNAL);
    ++seen[(int)status & 15];
    if (status != NBCORE_OK) {
      TRUE(is_untouched(&c) && strlen(nbcore_message()) > 5);
      status = nbcore_levels_begin(levels, &c.system, &c.result); /* the same by the other door */
      TRUE(status != NBCORE_EINTERNAL);
      if (status == NBCORE_OK) TRUE(nbcore_levels_forward(levels, 1) != NBCORE_EINTERNAL && is_untouched(&c));
    }
    good(&c, kind);
    OK(nbcore_compute(model, &c.system, &c.options, &c.result));
    TRUE(memcmp(&c.r, &expected[kind].r, sizeof c.r) == 0);
    TRUE(memcmp(c.virials, expected[kind].virials, sizeof c.virials) == 0);
  }
  OK(nbcore_levels_free(levels));
  for (k = NBCORE_OK; k <= NBCORE_ESPECIES; ++k) TRUE(rounds < 500 || seen[k] > 0); /* all of these were reached */
  EXPECT(NBCORE_EARG, "is no handle", nbcore_free((nbcore_model*)levels));          /* a handle of another kind */
  EXPECT(NBCORE_EARG, "is no handle", nbcore_levels_free((nbcore_levels*)(uintptr_t)model));
  EXPECT(NBCORE_EARG, "is no handle", nbcore_scheme_free((nbcore_scheme*)(uintptr_t)model));
}
