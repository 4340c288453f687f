/* What models say of their errors: a potential that knows, a committee, one that knows nothing. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "driver.h"

typedef struct {
  double energy, forces[MOST], grades[MOST];
} trust;

static nbcore_status ask(const nbcore_model* model, const structure* s, result* r, trust* t, int grades) {
  return nbcore_evaluate_uncertainty(model, NULL, s->n, s->positions, s->numbers, s->cell, s->pbc, NULL, &r->energy,
                                     r->forces, r->virial, r->energies, &t->energy, t->forces,
                                     grades ? t->grades : NULL);
}

static void untouch_trust(trust* t) {
  int i;
  t->energy = UNTOUCHED;
  for (i = 0; i < MOST; ++i) t->forces[i] = t->grades[i] = UNTOUCHED;
}

static int untouched_trust(const trust* t) {
  int i, same = t->energy == UNTOUCHED;
  for (i = 0; i < MOST; ++i) same = same && t->forces[i] == UNTOUCHED && t->grades[i] == UNTOUCHED;
  return same;
}

/* The same energy and forces as without; sizes that can be; atoms beyond the last as they were. */
static void sensible(const nbcore_model* model, const structure* s, int grades) {
  result r, plain;
  trust t;
  double sum = 0;
  int i, same = 1;
  untouch(&r), untouch_trust(&t);
  OK(ask(model, s, &r, &t, grades));
  OK(evaluate(model, s, &plain));
  TRUE(r.energy == plain.energy && memcmp(r.forces, plain.forces, 3 * (size_t)s->n * sizeof(double)) == 0);
  for (i = 0; i < s->n; ++i) {
    TRUE(t.forces[i] > 0 && isfinite(t.forces[i]) && (!grades || t.grades[i] > 0));
    sum += t.forces[i] * t.forces[i];
  }
  TRUE(fabs(t.energy - 0.5 * sqrt(sum)) < 1e-12 * t.energy); /* the factor that the test gave it */
  for (i = (int)s->n; i < MOST; ++i) same = same && t.forces[i] == UNTOUCHED && t.grades[i] == UNTOUCHED;
  TRUE(same);
}

void uncertainties(const char* knowing_path, const char* committee_path, const nbcore_model* plain) {
  nbcore_model *knowing = load(knowing_path), *committee = load(committee_path);
  nbcore_uncertainty_kind kind = (nbcore_uncertainty_kind)77;
  nbcore_options options = NBCORE_OPTIONS;
  const structure s = molecule(), large = crystal(6, 1, 3, 1);
  structure bad = s, none = s;
  result r;
  trust t;
  EXPECT(NBCORE_EARG, "kind is NULL", nbcore_uncertainty(knowing, NULL));
  EXPECT(NBCORE_EARG, "model is NULL", nbcore_uncertainty(NULL, &kind));
  TRUE((int)kind == 77);
  OK(nbcore_uncertainty(plain, &kind));
  TRUE(kind == NBCORE_NO_UNCERTAINTY);
  OK(nbcore_uncertainty(knowing, &kind));
  TRUE(kind == NBCORE_LAST_LAYER);
  OK(nbcore_uncertainty(committee, &kind));
  TRUE(kind == NBCORE_COMMITTEE);

  sensible(knowing, &s, 1), sensible(knowing, &large, 1), sensible(knowing, &large, 0);
  sensible(committee, &s, 0), sensible(committee, &large, 0), sensible(committee, &large, 0);
  OK(nbcore_set_precision(committee, 32));
  sensible(committee, &large, 0);

  untouch(&r), untouch_trust(&t);
  EXPECT(NBCORE_EARG, "knows nothing of its errors", ask(plain, &s, &r, &t, 1));
  EXPECT(NBCORE_EARG, "grades", ask(committee, &s, &r, &t, 1));
  bad.positions[4] = NAN;
  EXPECT(NBCORE_ENONFINITE, "", ask(knowing, &bad, &r, &t, 1));
  EXPECT(NBCORE_ENONFINITE, "", ask(committee, &bad, &r, &t, 0));
  bad = s, bad.numbers[0] = 92;
  EXPECT(NBCORE_ESPECIES, "U", ask(knowing, &bad, &r, &t, 1));
  options.threads = -1;
  EXPECT(NBCORE_EARG, "threads",
         nbcore_evaluate_uncertainty(knowing, NULL, s.n, s.positions, s.numbers, s.cell, s.pbc, &options, &r.energy,
                                     r.forces, r.virial, r.energies, &t.energy, t.forces, t.grades));
  TRUE(r.energy == UNTOUCHED && r.forces[0] == UNTOUCHED && untouched_trust(&t));
  OK(nbcore_evaluate_uncertainty(knowing, NULL, s.n, s.positions, s.numbers, s.cell, s.pbc, NULL, NULL, NULL, NULL,
                                 NULL, NULL, NULL, NULL));
  none.n = 0;
  OK(ask(knowing, &none, &r, &t, 1));
  OK(ask(committee, &none, &r, &t, 0));
  TRUE(t.energy == 0 && t.forces[0] == UNTOUCHED);
  OK(nbcore_free(knowing));
  OK(nbcore_free(committee));
}
