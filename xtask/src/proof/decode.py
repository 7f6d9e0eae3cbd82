"""Reads a photograph of a QR code with ZXing and with OpenCV, neither allowed to invert it.

Arguments: FILE [inverted]. Prints a line for each scanner: name, version, and what it read, separated by tabs.
"""

import sys
from importlib.metadata import version

import cv2
import zxingcpp


def zxing(picture):
    found = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode, try_invert=False)
    return found[0].text if found else ""


def opencv(picture):
    try:
        return cv2.QRCodeDetector().detectAndDecode(picture)[0]
    except cv2.error:  # it takes something else for corners, and stumbles
        return ""


def read(scanner, photo):
    # A camera is never quite in focus, nor at the best distance, and brings out what contrast there is.
    for scale in (1, 0.6, 0.7, 0.8, 1.5, 2):
        picture = cv2.resize(photo, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        for blur in (0, 0.7, 1, 1.5, 2, 3):
            soft = cv2.GaussianBlur(picture, (0, 0), blur) if blur else picture
            _, sharp = cv2.threshold(soft, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
            for view in (soft, sharp):
                text = scanner(view)
                if text:
                    return text
    return ""


photo = cv2.imread(sys.argv[1], cv2.IMREAD_GRAYSCALE)
if "inverted" in sys.argv:
    photo = 255 - photo
for name, package, scanner in (
    ("ZXing", "zxing-cpp", zxing),
    ("OpenCV", "opencv-python-headless", opencv),
):
    print(name, version(package), read(scanner, photo), sep="\t")
