"""SAM CLI's own downloader of layers against the server, which the environment names.

Arguments: the ARN of a version, and a directory for SAM's cache. Prints where SAM put the layer.
"""

import pathlib
import sys

from samcli.lib.providers.provider import LayerVersion, Stack
from samcli.local.layers.layer_downloader import LayerDownloader

arn, cache = sys.argv[1:3]
downloader = LayerDownloader(cache, ".", [Stack("", "", "", {}, {}, None)])
layers = downloader.download_all([LayerVersion(arn, None)], force=True)
print(pathlib.Path(layers[0].codeuri))
