package policy

// AnalyticsCookies returns patterns for Policy.IgnoreCookies: the cookies of common analytics and
// advertising scripts, of consent banners, and of CDNs and load balancers in front. Scripts in the
// browser read them, or servers in front of the app; a handler hardly ever does. Leave out what a
// handler of yours reads.
//
//	Google            __utm* _ga _ga_* _gac_* _gat _gat_* _gcl_* _gid _dc_gtm_* __gads __gpi*
//	Meta, TikTok, …   _fbc _fbp _ttp _tt_* ttcsid* _pin_unauth _rdt_* _scid* _sctr _twpid li_fat_id
//	Microsoft         _clck _clsk _uet*
//	others            _hj* _pk_* _ym_* _hp2_* _vwo_* _vis_opt_* _dd_s* _ce.* ajs_* AMP_* amplitude_id*
//	                  AMCV_* AMCVS_* __hs_* __hstc __hssc __hssrc hubspotutk fs_uid fs_lua ph_phc_*
//	consent banners   CookieConsent cookieconsent_status cookieyes-consent cookielawinfo-*
//	                  viewed_cookie_policy cookie_notice_accepted cc_cookie OptanonConsent
//	                  OptanonAlertBoxClosed euconsent-v2 eupubconsent-v2 usprivacy didomi_token
//	                  _iub_cs-* cmplz_* borlabs-cookie axeptio_* tarteaucitron klaro mtm_consent*
//	in front          __cf_bm __cflb _cfuvid cf_clearance AWSALB*
func AnalyticsCookies() []string {
	return []string{
		"__utm*", "_ga", "_ga_*", "_gac_*", "_gat", "_gat_*", "_gcl_*", "_gid", "_dc_gtm_*",
		"__gads", "__gpi*",
		"_fbc", "_fbp", "_ttp", "_tt_*", "ttcsid*", "_pin_unauth", "_rdt_*", "_scid*", "_sctr",
		"_twpid", "li_fat_id",
		"_clck", "_clsk", "_uet*",
		"_hj*", "_pk_*", "_ym_*", "_hp2_*", "_vwo_*", "_vis_opt_*", "_dd_s*", "_ce.*", "ajs_*",
		"AMP_*", "amplitude_id*",
		"AMCV_*", "AMCVS_*", "__hs_*", "__hstc", "__hssc", "__hssrc", "hubspotutk", "fs_uid",
		"fs_lua", "ph_phc_*",
		"CookieConsent", "cookieconsent_status", "cookieyes-consent", "cookielawinfo-*",
		"viewed_cookie_policy", "cookie_notice_accepted", "cc_cookie", "OptanonConsent",
		"OptanonAlertBoxClosed", "euconsent-v2", "eupubconsent-v2", "usprivacy", "didomi_token",
		"_iub_cs-*", "cmplz_*", "borlabs-cookie", "axeptio_*", "tarteaucitron", "klaro",
		"mtm_consent*",
		"__cf_bm", "__cflb", "_cfuvid", "cf_clearance", "AWSALB*",
	}
}
