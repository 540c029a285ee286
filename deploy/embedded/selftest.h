/* Does the model answer here as it did where the artifact was made? */
#ifndef EDGEPROOF_SELFTEST_H
#define EDGEPROOF_SELFTEST_H

#include "artifact.h"
#include "engine.h"

/*
 * Fails with GATE_FAILED where an answer differs. Returns the number of images checked, 0 where the artifact holds no
 * self-test for this runtime, and the largest difference of a logit.
 */
int selftest_run(const Artifact *artifact, Engine *engine, double *largest, double *tolerance);

#endif
