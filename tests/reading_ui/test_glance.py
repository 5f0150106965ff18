"""Pictures across a series on the reading page: shown where its geometry allows, a plain reason where it does not."""
import io
import re

import numpy as np
import pydicom
import pytest
from PIL import Image

from dicom_gateway.jobs import prepare_study
from dicom_gateway.services.store import take_in
from hub.flow import completion, studies
from tests.reading_ui.county import slice_file


def chest(county, missing: tuple[int, ...] = ()) -> int:
    """Twelve slices of a phantom at one of the two clinics, prepared. Returns the study."""
    county.made += 1
    uid = f"1.2.826.0.7.{county.made}"
    for at in range(12):
        if at in missing:
            continue
        dataset = pydicom.dcmread(io.BytesIO(slice_file(uid, at)))
        dataset.PatientID, dataset.PatientName, dataset.SeriesDescription, dataset.InstanceNumber = f"G{county.made}", "Zhang^San", "Thorax", at + 1
        dataset.ImagePositionPatient, dataset.ImageOrientationPatient, dataset.PixelSpacing = [0, 0, at * 5], [1, 0, 0, 0, 1, 0], [2, 2]
        file = io.BytesIO()
        dataset.save_as(file)
        taken = take_in(county.hub, county.devices["QS"], county.hub.blobs.keep(file.getvalue()))
    completion.close_quiet_studies(county.later(3600))
    prepare_study(county.hub, taken.study_id, studies.find(county.hub, county.actor("chen"), taken.study_id).generation)
    return taken.study_id


@pytest.fixture(scope="module")
def whole(county) -> int:
    return chest(county)


def addresses(page: str) -> list[str]:
    return re.findall(r'<img src="(/studies/\d+/across/\d+\.jpg)"', page)


def test_a_volume_is_shown_across_in_three_pictures(county, people, whole):
    page = people["chen"].get(f"/studies/{whole}").text
    assert "冠状位" in page and "矢状位" in page and "最大密度投影" in page and "不能重建" not in page
    found = addresses(page)
    assert len(found) == 3
    for address in found:
        reply = people["chen"].get(address)
        assert reply.status_code == 200 and reply.mimetype == "image/jpeg"
        picture = Image.open(io.BytesIO(reply.data))
        assert picture.width / picture.height == pytest.approx(128 * 2 / (12 * 5), rel=0.03)
        assert np.asarray(picture).std() > 20


def test_a_series_with_a_gap_says_why_it_is_not_shown_across(county, people):
    page = people["chen"].get(f"/studies/{chest(county, missing=(5,))}").text
    assert not addresses(page) and "不能重建：" in page and "缺约 1 层" in page


def test_pictures_are_given_only_to_those_who_may_see_the_study_and_only_its_own(county, people, whole):
    (address, *_) = addresses(people["chen"].get(f"/studies/{whole}").text)
    number = int(re.search(r"across/(\d+)", address).group(1))
    assert people["qs"].get(address).status_code == 200 and people["bx"].get(address).status_code == 404
    assert people["chen"].get(address.replace(f"/{number}.", f"/{number + 9000}.")).status_code == 404
    other = chest(county)
    assert people["chen"].get(address.replace(f"/studies/{whole}/", f"/studies/{other}/")).status_code == 404
