"""Runs the .pth files of layer directories, as Lambda does.

Lambda's bootstrap adds the function's directory and the layers' with site.addsitedir(). Directories of PYTHONPATH, which is all
that a stock interpreter can be told, are searched for modules, but their .pth files are not run. SLASHOPT_SITE_DIRECTORIES names
them in Lambda's order.

site imports the first sitecustomize that it finds. Whoever had that place before gets its turn afterwards.
"""


def _run():
    import os
    import site
    import sys

    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    for directory in os.environ.get("SLASHOPT_SITE_DIRECTORIES", "").split(os.pathsep):
        if directory and os.path.isdir(directory):
            site.addsitedir(directory)

    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    following = PathFinder.find_spec("sitecustomize", sys.path)
    if following is None or following.loader is None:
        return
    module = module_from_spec(following)
    sys.modules["sitecustomize"] = module
    following.loader.exec_module(module)


_run()
