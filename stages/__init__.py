"""One module per DVC stage: read params and inputs, call the core, write the declared outputs.

Whoever imports this package, which runs before anything of it imports a library, looks for cycles of unused objects
after many thousand new ones, not after 700, and not at all in the end. Each look goes through objects that stay: those
of large libraries, and the paths of all images. It takes a fifth of the time of a stage that computes little.
"""

import atexit
import gc

gc.set_threshold(10_000)
# A process that ends gives its memory back as a whole. Its last look would be at all that torch has made.
atexit.register(gc.freeze)
