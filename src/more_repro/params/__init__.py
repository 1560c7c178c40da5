"""The only reader of params.yaml: typed, frozen, and strict about what it does not know."""

from more_repro.params.loading import load_params as load_params
from more_repro.params.presets import resolved_text as resolved_text
from more_repro.params.sections import Align as Align
from more_repro.params.sections import Base as Base
from more_repro.params.sections import BestOf as BestOf
from more_repro.params.sections import Chat as Chat
from more_repro.params.sections import Data as Data
from more_repro.params.sections import Instructions as Instructions
from more_repro.params.sections import Judge as Judge
from more_repro.params.sections import Lora as Lora
from more_repro.params.sections import Pretraining as Pretraining
from more_repro.params.sections import Regime as Regime
from more_repro.params.sections import Report as Report
from more_repro.params.sections import RewardModelParams as RewardModelParams
from more_repro.params.sections import Scheme as Scheme
from more_repro.params.sections import Sft as Sft
from more_repro.params.sections import Source as Source
from more_repro.params.sections import Stats as Stats
from more_repro.params.sections import Sweep as Sweep
from more_repro.params.study import Params as Params
from more_repro.params.yaml_text import ParamsError as ParamsError
