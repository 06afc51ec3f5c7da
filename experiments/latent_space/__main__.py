from experiments.lab.command import main
from experiments.latent_space.study import STUDY

main(STUDY)
