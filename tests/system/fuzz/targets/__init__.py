"""The table of what is attacked."""

from tests.system.fuzz.case import Target
from tests.system.fuzz.targets import (
    archives,
    canary,
    folders,
    graph_files,
    image_files,
    journals,
    many_series,
    model_files,
    scripts,
    series_files,
    served_reports,
    table_files,
    verdict_files,
    video_files,
)

TARGETS: dict[str, Target] = {
    module.TARGET.name: module.TARGET
    for module in (
        image_files,
        model_files,
        graph_files,
        series_files,
        table_files,
        archives,
        journals,
        many_series,
        verdict_files,
        served_reports,
        video_files,
        folders,
        scripts,
        canary,
    )
}
# All but those that are there to be found.
USUAL = tuple(name for name in TARGETS if name != "canary")
