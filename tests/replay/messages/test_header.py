"""Headers of older and home-made converters: put in order where that is certain, one clear message where it is not."""

from __future__ import annotations

import logging

import ismrmrd
import pytest

from smug_recon.errors import DataError, HeaderError
from smug_recon.gadgets.header.plan import build_plan
from smug_recon.gadgets.header.units import correct_units, dwell_notes, watch_dwell_times
from smug_recon.pipeline import load_pipeline
from smug_recon.replay.messages.header import parse_header

XML = """<?xml version="1.0" encoding="UTF-8"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
 <subjectInformation><patientName>M\u00fcller</patientName></subjectInformation>
 <measurementInformation><patientPosition>FFP</patientPosition><protocolName>T1 axial</protocolName>
 </measurementInformation>
 <acquisitionSystemInformation><systemFieldStrength_T>1.5</systemFieldStrength_T>
  <receiverChannels>8</receiverChannels></acquisitionSystemInformation>
 <experimentalConditions><H1resonanceFrequency_Hz>63870000</H1resonanceFrequency_Hz></experimentalConditions>
 <encoding>
  <encodedSpace><matrixSize><x>384</x><y>160</y><z>1</z></matrixSize>
   <fieldOfView_mm><x>512</x><y>220</y><z>5</z></fieldOfView_mm></encodedSpace>
  <reconSpace><matrixSize><x>192</x><y>160</y><z>1</z></matrixSize>
   <fieldOfView_mm><x>256</x><y>220</y><z>5</z></fieldOfView_mm></reconSpace>
  <encodingLimits><kspace_encoding_step_1><minimum>0</minimum><maximum>159</maximum><center>80</center>
  </kspace_encoding_step_1></encodingLimits>
  <trajectory>cartesian</trajectory>
  <parallelImaging><accelerationFactor><kspace_encoding_step_1>2</kspace_encoding_step_1>
   <kspace_encoding_step_2>1</kspace_encoding_step_2></accelerationFactor>
   <calibrationMode>embedded</calibrationMode></parallelImaging>
 </encoding>
 <sequenceParameters><TR>500</TR><TE>8.9</TE></sequenceParameters>
</ismrmrdHeader>"""


def changed(*pairs: tuple[str, str]) -> str:
    text = XML
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    return text


def parsed(data: bytes | str, caplog: pytest.LogCaptureFixture) -> tuple[ismrmrd.xsd.ismrmrdHeader, str]:
    """The header, which must be what is sent as well; and what was said about it."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        header, sent = parse_header(data.encode() if isinstance(data, str) else data)
    assert ismrmrd.xsd.CreateFromDocument(sent) == header
    return header, caplog.text


@pytest.fixture
def clean(caplog: pytest.LogCaptureFixture) -> ismrmrd.xsd.ismrmrdHeader:
    header, said = parsed(XML, caplog)
    assert said == "", "a good header is left alone"
    assert parse_header(XML.encode())[1] == XML.encode()
    return header


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (XML.encode() + b"\0", ""),
        (XML.encode() + b"\0\0\n\0", ""),
        (b"\xef\xbb\xbf" + XML.encode(), ""),
        (XML.encode("utf-16"), "UTF-16"),
        (XML.replace("UTF-8", "UTF-16").encode("utf-16-le"), "UTF-16"),
        (XML.encode("latin-1"), "cp1252, not in UTF-8"),
        (XML.replace("UTF-8", "ISO-8859-1").encode("latin-1"), ""),
        (XML.replace('<?xml version="1.0" encoding="UTF-8"?>', "").encode(), ""),
        (XML.encode() + b"\0<ismrmrdHeader>left over", "text behind the end"),
        (changed((' xmlns="http://www.ismrm.org/ISMRMRD"', "")), "namespace"),
        (changed(("<encoding>", "<novelty a='1'><b>2</b></novelty><encoding>")), "put in order"),
        (changed(("<TR>500", "<dwell_ns>2500</dwell_ns><TR>500")), "put in order"),
        (changed(("<x>384</x>", "<x>384.0</x>")), "whole number"),
        (changed(("63870000", "6.387e7")), "whole number"),
        (changed(("cartesian", " Cartesian\n")), "put in order"),
        (changed(("embedded", "Embedded"), ("FFP", "ffp")), "put in order"),
        (changed(("<kspace_encoding_step_2>1</kspace_encoding_step_2>", "")), "step_2: 1 is taken"),
    ],
)
def test_what_converters_do_to_a_header_loses_nothing(
    data: bytes | str, said: str, clean: ismrmrd.xsd.ismrmrdHeader, caplog: pytest.LogCaptureFixture
) -> None:
    header, text = parsed(data, caplog)
    assert header == clean
    assert said in text
    assert "ller" not in text, "no patient data in the log"


def test_missing_elements_are_filled_in_and_named(caplog: pytest.LogCaptureFixture) -> None:
    header, said = parsed(changed(("<patientPosition>FFP</patientPosition>", "")), caplog)
    assert header.measurementInformation.patientPosition.value == "HFS" and "patientPosition" in said
    assert header.measurementInformation.protocolName == "T1 axial"
    header, said = parsed(changed((">FFP<", ">supine<")), caplog)
    assert header.measurementInformation.patientPosition.value == "HFS" and "HFS is taken" in said
    frequency = "<H1resonanceFrequency_Hz>63870000</H1resonanceFrequency_Hz>"
    for before in (frequency, f"<experimentalConditions>{frequency}</experimentalConditions>"):
        header, said = parsed(changed((before, "")), caplog)
        assert header.experimentalConditions.H1resonanceFrequency_Hz == 63865500 and "field strength" in said
    start, stop = XML.index("<encodingLimits>"), XML.index("</encodingLimits>") + len("</encodingLimits>")
    header, said = parsed(XML[:start] + XML[stop:], caplog)
    assert header.encoding[0].encodingLimits.slice is None and "no encodingLimits" in said
    assert build_plan(header, load_pipeline()).lines_y == 160


def test_control_characters_and_bare_ampersands(caplog: pytest.LogCaptureFixture) -> None:
    header, said = parsed(changed(("T1 axial", "T1 & T2\x01 &lt;a&#x1;")), caplog)
    assert header.measurementInformation.protocolName == "T1 & T2 <a"
    assert "control characters" in said and "&amp;" in said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html><body/></html>",
        XML[:900],
        XML.replace("<trajectory>cartesian</trajectory>", ""),
        XML.replace("<matrixSize><x>384</x><y>160</y><z>1</z></matrixSize>", ""),
        XML.replace("</fieldOfView_mm>", "</fieldOfView>"),
    ],
)
def test_what_says_nothing_about_the_encoding_is_refused(text: str) -> None:
    with pytest.raises(HeaderError, match="expected the MRD header"):
        parse_header(text.encode())


def test_a_value_of_the_wrong_type_is_named_by_the_check() -> None:
    header, _ = parse_header(changed(("<x>384</x>", "<x>384.5</x>")).encode())
    with pytest.raises(HeaderError, match=r"matrixSize x = '?384.5"):
        build_plan(header, load_pipeline())


FOV = [("<x>512</x><y>220</y><z>5</z>", "<x>0.512</x><y>0.22</y><z>0.005</z>")]
RECON_FOV = [("<x>256</x><y>220</y><z>5</z>", "<x>0.256</x><y>0.22</y><z>0.005</z>")]


@pytest.mark.parametrize("pairs", [FOV, RECON_FOV, FOV + RECON_FOV])
def test_a_field_of_view_in_metres_becomes_mm(
    pairs: list[tuple[str, str]], clean: ismrmrd.xsd.ismrmrdHeader, caplog: pytest.LogCaptureFixture
) -> None:
    header, said = parsed(changed(*pairs), caplog)
    assert said.count("in metres") == len(pairs)
    plan, expected = build_plan(header, load_pipeline()), build_plan(clean, load_pipeline())
    assert plan.readout_x == expected.readout_x == 192
    assert plan.encoded_fov_mm == pytest.approx(expected.encoded_fov_mm)
    assert plan.recon_fov_mm == pytest.approx(expected.recon_fov_mm)


def test_a_field_of_view_beyond_reason_is_refused_and_a_small_one_questioned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(HeaderError, match="micrometres"):
        parse_header(changed(("<x>512</x>", "<x>512000</x>")).encode())
    in_cm = changed(("<x>512</x><y>220</y>", "<x>51.2</x><y>22</y>"), ("<x>256</x>", "<x>25.6</x>"))
    header, said = parsed(in_cm, caplog)
    assert "in cm?" in said and header.encoding[0].encodedSpace.fieldOfView_mm.x == 51.2


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([("63870000", "64")], "in MHz"),
        ([("63870000", "63870")], "in kHz"),
        ([(">1.5<", ">1500<")], "in mT"),
        ([(">1.5<", ">15000<")], "in gauss"),
        ([(">1.5<", ">1500<"), ("63870000", "63870")], "in mT"),
    ],
)
def test_field_strength_and_frequency_are_brought_together(
    pairs: list[tuple[str, str]], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    header, text = parsed(changed(*pairs), caplog)
    assert said in text
    assert header.acquisitionSystemInformation.systemFieldStrength_T == pytest.approx(1.5)
    assert header.experimentalConditions.H1resonanceFrequency_Hz == pytest.approx(63.9e6, rel=2e-3)


def test_a_low_field_scanner_is_no_slip() -> None:
    low = changed((">1.5<", ">0.055<"), ("63870000", "2341735"))
    header = ismrmrd.xsd.CreateFromDocument(low.encode())
    assert correct_units(header) == (header, [])
    odd = ismrmrd.xsd.CreateFromDocument(changed((">1.5<", ">7<")).encode())
    assert "do not belong together" in correct_units(odd)[1][0]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("<TE>8.9", "<TE>0.0089", "TE of 0.0089 ms: is it in seconds"),
        ("<TE>8.9", "<TE>8900", "TE of 8900 ms: is it in microseconds"),
        ("<TR>500", "<TR>0.5", "TR of 0.5 ms: is it in seconds"),
        ("<TR>500", "<TR>500000", "is it in microseconds"),
        ("<TR>500", "<TR>5", "one of them has another unit"),
    ],
)
def test_times_no_sequence_has_are_reported_and_kept(
    before: str, after: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    header, text = parsed(changed((before, after)), caplog)
    assert said in text
    value = float(after.split(">")[1])
    assert value in (header.sequenceParameters.TR[0], header.sequenceParameters.TE[0])


def test_dwell_times_of_other_units() -> None:
    class Report:
        def __init__(self) -> None:
            self.warnings: list[str] = []

        def warn(self, text: str) -> None:
            self.warnings.append(text)

    def watched(noise_us: float, image_us: float) -> list[str]:
        report, items = Report(), []
        for flag, dwell in ((ismrmrd.ACQ_IS_NOISE_MEASUREMENT, noise_us), (0, image_us)):
            line = ismrmrd.Acquisition.from_array(line_of(8), sample_time_us=dwell)
            line.setFlag(flag) if flag else None
            items.append(line)
        assert list(watch_dwell_times(items, report)) == items  # type: ignore[arg-type]
        return report.warnings

    assert watched(5, 2.6) == watched(0, 5) == watched(30, 2) == []
    assert "no dwell time" in watched(5000, 2600)[0]
    assert "no dwell time" in watched(5e-6, 2.6e-6)[0]
    with pytest.raises(DataError, match="one unit"):
        watched(5000, 2.6)
    with pytest.raises(DataError, match="one unit"):
        dwell_notes({True: 5e-6, False: 2.6})


def line_of(samples: int):
    import numpy as np

    return np.zeros((2, samples), np.complex64)
