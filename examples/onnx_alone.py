"""An artifact's ONNX file without edgeproof: python examples/onnx_alone.py MODEL.onnx PHOTO. Needs onnxruntime and Pillow."""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

model, photo = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
about = session.get_modelmeta().custom_metadata_map  # the file says itself how it is used
how, threshold = json.loads(about["edgeproof.preprocess"]), json.loads(about["edgeproof.threshold"])
size = how["size"]

image = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
if how["policy"] == "resize":
    image = image.resize((size, size), Image.Resampling.BILINEAR)
else:  # center_crop: pixels as they are
    scale = max(1.0, size / min(image.size))
    image = (
        image.resize([round(edge * scale) for edge in image.size], Image.Resampling.BILINEAR)
        if scale > 1
        else image
    )
    left, top = (image.width - size) // 2, (image.height - size) // 2
    image = image.crop((left, top, left + size, top + size))

probability, logit = session.run(["probability", "logit"], {"image": np.asarray(image)[None]})
verdict = "generated" if probability.item() >= threshold else "real"
print(f"{photo}: {verdict} (probability of generated {probability.item():.4f}, threshold {threshold:.4f})")
