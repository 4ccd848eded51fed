<?php
// Freshet: put this file into wp-content/mu-plugins. When something that pages show has changed, it purges their tag.
defined( 'FRESHET_PROXY' ) || define( 'FRESHET_PROXY', 'http://127.0.0.1:8080' );
function freshet_purge() {
	wp_remote_request( FRESHET_PROXY . '/', array( 'method' => 'PURGE', 'timeout' => 2, 'headers' => array( 'Surrogate-Key' => 'wordpress' ) ) );
}
function freshet_changed() { // one purge for a request, when its changes are made
	has_action( 'shutdown', 'freshet_purge' ) || add_action( 'shutdown', 'freshet_purge' );
}
foreach ( explode( ' ', 'clean_post_cache clean_comment_cache clean_term_cache clean_user_cache customize_save_after switch_theme wp_update_nav_menu' ) as $hook ) {
	add_action( $hook, 'freshet_changed' );
}
