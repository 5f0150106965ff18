"""Body Part Examined (PS3.16 Annex L) in the words of a Chinese report."""

BODY_PARTS = {"CHEST": "胸部", "LUNG": "肺", "THORAX": "胸廓", "HEAD": "颅脑", "BRAIN": "颅脑", "SKULL": "头颅", "ABDOMEN": "腹部",
              "LIVER": "肝脏", "PELVIS": "盆腔", "SPINE": "脊柱", "CSPINE": "颈椎", "TSPINE": "胸椎", "LSPINE": "腰椎",
              "NECK": "颈部", "HEART": "心脏", "KNEE": "膝关节", "HIP": "髋关节", "SHOULDER": "肩关节", "HAND": "手", "FOOT": "足",
              "ANKLE": "踝关节", "WRIST": "腕关节", "ELBOW": "肘关节", "EXTREMITY": "四肢", "BREAST": "乳腺"}


def body_part_zh(code: str) -> str:
    """A body part in Chinese; what has no word here is shown as the device wrote it."""
    return BODY_PARTS.get(code.strip().upper(), code)
