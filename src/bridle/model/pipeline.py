"""What may be asked about pipelines: registering their definitions, and opening their runs.

Part of `bridle.model.calls`. A definition is named by its digest (see `bridle.trust.definition`).
"""

from __future__ import annotations

from bridle.model.call import Call, OperatorCall


class OpenRun(Call, frozen=True, kw_only=True, tag="open_run"):
    """Start the mission of a run of a pipeline, or find it, and open a session of the pipeline.

    By a workload that has proved its key, and that the pipeline names. `definition` is the SHA-256
    (hex) of what it runs, `run` the run's id in its engine (1 to 512 characters), `mission` the
    template, `given` what the run was started with: sealed, and nobody vouches for it. `holder` is
    the public key of this session. Answers `Opened`.
    """

    pipeline: str
    definition: str
    run: str
    mission: str
    holder: str
    given: str = ""


class PipelineVerb(OperatorCall, frozen=True, kw_only=True, tag="pipeline_verb"):
    """`verb` is `register` (its author, with their proved key) or `withdraw` (also an operator).

    `digest` is the definition's. Answers a listing of the pipeline's registrations.
    """

    verb: str
    pipeline: str
    digest: str


class Pipelines(OperatorCall, frozen=True, kw_only=True, tag="pipelines"):
    """List registrations (of one `pipeline`), newest first; `counts` says which count now."""

    pipeline: str = ""
