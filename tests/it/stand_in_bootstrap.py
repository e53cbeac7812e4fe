"""Stands in for the part of AWS's python3.11 bootstrap (and later ones) that makes the layers importable.

    python3 stand_in_bootstrap.py OPT CODE

OPT is what /opt is on the service. The rest comes from the environment, as it does there. The handler is CODE: Python to run.
"""

import os
import site
import sys

opt, code = sys.argv[1:]
task_root = os.environ["LAMBDA_TASK_ROOT"]
version = "python%d.%d" % sys.version_info[:2]
versioned = opt + "/python/lib/" + version + "/site-packages"
plain = opt + "/python"

# An empty PYTHONPATH counts as set.
is_configured = "PYTHONPATH" in os.environ

if not is_configured:
    sys.path.insert(0, "/var/lang/lib/" + version + "/site-packages")
    sys.path.insert(0, plain)
    sys.path.insert(0, versioned)
sys.path.insert(0, task_root)

site.addsitedir(task_root)
if not is_configured:
    # This appends what is already inserted, and runs the .pth files that are there.
    site.addsitedir(versioned)
    site.addsitedir(plain)
    os.environ["PYTHONPATH"] = os.environ["LAMBDA_RUNTIME_DIR"]

exec(code)
