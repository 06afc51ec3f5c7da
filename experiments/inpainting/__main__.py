from experiments.inpainting.study import STUDY
from experiments.lab.command import main

main(STUDY)
