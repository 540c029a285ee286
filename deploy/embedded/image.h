/* Images as they come without a library: binary PPM (P6, 8 bits), or raw RGB bytes. */
#ifndef EDGEPROOF_IMAGE_H
#define EDGEPROOF_IMAGE_H

#include "artifact.h"

#include <stdio.h>

/*
 * Reads the next image of a file into `pixels` [size, size, 3], and returns 1; 0 where the file ends before one.
 * A file may hold several, one after the other. Raw ones have the model's size; a larger PPM is cut to its middle where
 * the artifact's policy is center_crop. Fails with BAD_INPUT on anything else.
 */
int image_next(FILE *file, const char *name, int raw, const Artifact *artifact, unsigned char *pixels);

#endif
