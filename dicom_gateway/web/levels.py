"""Which attributes a study or a series has as a whole, so that any of its objects can tell them (PS3.3 A.1, C.7). Pure."""
from __future__ import annotations

from pydicom.datadict import tag_for_keyword


def _tags(keywords: str) -> frozenset[str]:
    return frozenset(f"{tag_for_keyword(one):08X}" for one in keywords.split())


OF_STUDY = _tags("""
    PatientName PatientID IssuerOfPatientID PatientBirthDate PatientBirthTime PatientSex OtherPatientIDs OtherPatientNames EthnicGroup PatientComments
    PatientAge PatientSize PatientWeight Occupation AdditionalPatientHistory MedicalAlerts Allergies PregnancyStatus PatientIdentityRemoved DeidentificationMethod
    StudyInstanceUID StudyDate StudyTime StudyID StudyDescription AccessionNumber ReferringPhysicianName PhysiciansOfRecord NameOfPhysiciansReadingStudy
    AdmittingDiagnosesDescription ProcedureCodeSequence ReferencedStudySequence RequestingService InstitutionName SpecificCharacterSet TimezoneOffsetFromUTC""")
OF_SERIES = OF_STUDY | _tags("""
    SeriesInstanceUID Modality SeriesNumber SeriesDate SeriesTime SeriesDescription ProtocolName BodyPartExamined PatientPosition Laterality OperatorsName
    PerformingPhysicianName Manufacturer ManufacturerModelName InstitutionAddress InstitutionalDepartmentName StationName DeviceSerialNumber SoftwareVersions
    FrameOfReferenceUID PositionReferenceIndicator PerformedProcedureStepStartDate PerformedProcedureStepStartTime PerformedProcedureStepID
    PerformedProcedureStepDescription RequestAttributesSequence ReferencedPerformedProcedureStepSequence PerformedProtocolCodeSequence CommentsOnThePerformedProcedureStep""")
BY_LEVEL = {"study": OF_STUDY, "series": OF_SERIES}
