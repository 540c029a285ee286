"""Judge photos with an artifact: python examples/predict_photos.py PHOTO... [--artifact FOLDER]. Needs no torch."""

import argparse

from deploy import Detector

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("photos", nargs="+")
parser.add_argument("--artifact", default="photos-128", help="a folder, or one that comes with the package")
given = parser.parse_args()

detector = Detector.load(given.artifact, selftest=True)  # does this processor answer as it should?
print(f"{detector.manifest.name}, {detector.manifest.precision} in {detector.runtime}: {detector.caution}")
for photo, found in zip(given.photos, detector.stream(given.photos), strict=True):
    print(
        f"{photo}: {found.answer} (probability of generated {found.probability:.3f}) {'; '.join(found.cautions)}"
    )
