"""What building a model imports, in a fresh process."""

import subprocess
import sys


def test_counting_parameters_does_not_import_the_compiler() -> None:
    """It takes longer to import than PyTorch itself, and `search start` counts before anything trains."""
    code = (
        "import sys; from search.mseg.models.registry import ModelConfig, parameters; "
        "print(parameters(ModelConfig.of(), 19), 'torch._dynamo' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["1747923", "False"]
