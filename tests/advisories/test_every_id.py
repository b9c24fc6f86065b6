"""Every id has a test whose name holds it, in this folder: `test_cve_2026_25253_…`, `test_issue_5120_…`."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Final

_IDS: Final = """
    cve_2026_25253 cve_2026_26322 clawjacked issue_16059 issue_77097 issue_5120

    cve_2026_25593 ghsa_g55j_c2v4_pjcg cve_2026_28472 pr_57647 ghsa_5847_rm3g_23mw ghsa_6rmx_gvvg_vh6j
    cve_2026_28475 cve_2026_35656 cve_2026_53832 ghsa_m8wm_r5vq_qjpg cve_2026_45005 ghsa_q8ff_7ffm_m3r9
    ghsa_8j2w_6fmm_m587 cve_2026_32004 ghsa_v865_p3gq_hw6m ghsa_943q_mwmv_hhvh

    ghsa_4jpw_hj22_2xmc cve_2026_33579 cve_2026_33577 ghsa_rqpp_rjj8_7wv8 cve_2026_53821 ghsa_qjpc_qf9m_xwmr
    cve_2026_28473 cve_2026_35660 ghsa_xw77_45gv_p728 ghsa_7jm2_g593_4qrc claw_chain

    cve_2026_22175 ghsa_2cq5_mf3v_mx44 cve_2026_31992 ghsa_796m_2973_wc5q cve_2026_28460 ghsa_65rx_fvh6_r4h2
    cve_2026_28463 cve_2026_29607 issue_23276 ghsa_2j8v_hwgc_x698 issue_128470 pr_90976 issue_61881

    cve_2026_26324 cve_2026_28467 ghsa_w45g_5746_x9fp cve_2026_43582

    cve_2026_28453 cve_2026_28452 ghsa_5xfq_5mr7_426q ghsa_33hm_cq8r_wc49 cve_2026_27002 cve_2026_44112
    cve_2026_44113 nemoclaw_1019 ironclaw_6170

    cve_2026_28480 cve_2026_26319 cve_2026_28478 ghsa_q447 ghsa_rm59_992w_x2mv ghsa_qcc3_jqwp_5vh2
    ghsa_ccx3_fw7q_rr2r

    issue_85049 pr_85140 issue_50614 issue_5995 issue_19137

    clawhavoc hostile_model
"""
IDS: Final = tuple(_IDS.split())


def test_every_id_has_a_test_of_its_name() -> None:
    names = [
        node.name
        for path in Path(__file__).parent.glob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [one for one in IDS if not any(f"_{one}_" in f"{name}_" for name in names)] == []
