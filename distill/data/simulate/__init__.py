"""The simulated set of real and generated images: ``writer.simulate`` renders it, ``settings`` describes it."""
