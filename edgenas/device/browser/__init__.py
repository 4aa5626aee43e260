"""A phone through its browser: it opens a page that we serve, which measures with ONNX Runtime Web and posts the result.

`target` is the way in; `exchange` is what is said, `server` how it is carried, `page/` what runs in the browser.
"""

from edgenas.device.browser.target import BrowserTarget, browser_target

__all__ = ["BrowserTarget", "browser_target"]
